import type { Statement, TenantDatabase } from '../../db/client.ts'

type Asked = {
  question: string
  personId: string
  /** The session of the question: of it only what stands before `firstSeq` is looked through. */
  sessionId: string
  firstSeq: number
  limit: number
}

type Passage = { id: string; text: string }

const words = `to_tsvector('public.parley', left(m.content, 50000))`

// The longer words of the question, any of them: whoever asks seldom repeats a sentence. Short ones stand everywhere.
const query = `(SELECT string_agg('''' || replace(replace(w.lexeme, '\\', '\\\\'), '''', '''''') || '''', ' | ')::tsquery
  FROM (SELECT lexeme FROM unnest(to_tsvector('public.parley', $2))
    WHERE length(lexeme) > 3 OR lexeme ~ '[0-9]' ORDER BY length(lexeme) DESC, lexeme LIMIT 16) w)`

// The newest few hundred matches are ranked, which bounds what a common word costs. `$1` is the tenant.
const findBest: Statement = {
  name: 'context-find-passages',
  text: `WITH asked AS MATERIALIZED (SELECT ${query} AS words), newest AS (
      SELECT m.id, m.content FROM messages m JOIN sessions s ON s.tenant_id = m.tenant_id AND s.id = m.session_id
      WHERE m.tenant_id = $1 AND m.replaced_at IS NULL AND m.status <> 'STREAMING'
        AND ${words} @@ (SELECT words FROM asked) AND m.role IN ('USER', 'ASSISTANT') AND s.deleted_at IS NULL AND NOT s.is_stateless
        AND (s.user_id = $3 OR s.id IN (
          SELECT p.session_id FROM participants p WHERE p.tenant_id = $1 AND p.user_id = $3))
        AND (m.session_id <> $4 OR m.seq < $5)
      ORDER BY m.id DESC LIMIT 300)
    SELECT m.id FROM newest m, asked ORDER BY ts_rank(${words}, asked.words, 1) DESC, m.id DESC LIMIT $6`,
}

const readText: Statement = {
  name: 'context-read-passages',
  text: `SELECT m.id, ts_headline('public.parley', left(m.content, 50000), ${query},
      'StartSel="", StopSel="", MaxWords=150, MinWords=75, MaxFragments=2, FragmentDelimiter=" … "') AS text
    FROM messages m WHERE m.tenant_id = $1 AND m.id = ANY($3)`,
}

/** Where the words of a question stand in what a person has said and read before, best first. */
export async function findPassages(db: TenantDatabase, asked: Asked): Promise<Passage[]> {
  const { question, personId, sessionId, firstSeq, limit } = asked
  const text = question.slice(0, 2_000).toWellFormed()
  const values = [text, personId, sessionId, firstSeq, limit]
  const best = await db.searchSql<{ id: string }>(findBest, values)
  if (best.length === 0) return []
  const ids = best.map(({ id }) => id)
  const read = await db.sql<Passage>(readText, [db.tenantId, text, ids])
  const byId = new Map(read.map((passage) => [passage.id, passage]))
  return ids.flatMap((id) => byId.get(id) ?? [])
}
