import type { Statement, TenantDatabase } from '../../db/client.ts'

/** A chunk and how well it fits; scores are to be compared within one ranking only. */
export type Ranked = { id: string; score: number }

/** `wholeScore` is about what a chunk gets in which every word of the query stands once. */
export type WordRanking = { ranked: Ranked[]; wholeScore: number }

/** `isExact`: whether the operators in it count; a question is taken as plain words, with whatever stands in it. */
export type Query = { text: string; isExact: boolean }

/** The documents that are looked through, and how many chunks they have together. */
export type Scope = { documentIds: readonly string[]; chunkCount: number }

/** The most chunks that are ranked. It bounds what a question of common words costs. */
const maxCandidates = 2_000
/** The words of a question that count; it has at most 2,000 characters. */
const maxWords = 32

// Statements for `searchSql`: `$1` is the tenant, and every table is held to it.

/**
 * The chunks `c` of the documents `$2` that match, by way of their documents where these are few, else by way of the
 * words. PostgreSQL cannot know which is shorter once it has a plan for any number of documents; OFFSET keeps it to ours.
 */
const matching = (isNarrow: boolean, query: string) =>
  isNarrow
    ? `chunks c WHERE c.tenant_id = $1 AND c.document_id = ANY($2::uuid[]) AND c.words @@ ${query}`
    : `(SELECT m.id, m.document_id, m.version, m.words, m.content FROM chunks m
        WHERE m.tenant_id = $1 AND m.words @@ ${query} OFFSET 0) AS c WHERE c.document_id = ANY($2::uuid[])`

const bothWays = (name: string, textOf: (isNarrow: boolean) => string) => ({
  narrow: { name: `${name}-narrow`, text: textOf(true) } satisfies Statement,
  wide: { name: `${name}-wide`, text: textOf(false) } satisfies Statement,
})

// Counted no further than matters: a word in more chunks than can be ranked tells little.
const findWords = bothWays(
  'chunk-words-of-query',
  (isNarrow) => `SELECT w.lexeme, w.query::text, (SELECT count(*)::int FROM (
        SELECT FROM ${matching(isNarrow, 'w.query')} LIMIT ${maxCandidates + 1}) AS found) AS count
    FROM (SELECT lexeme, ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''')::tsquery AS query
      FROM unnest(to_tsvector('public.parley', $3)) ORDER BY length(lexeme) DESC LIMIT ${maxWords}) AS w`,
)

// BM25 (k1 1.2, b 0.75), with the weight of each word given: rare ones tell more. Chunks are about 800 characters long.
const rankChunks = (query: string) => (isNarrow: boolean) =>
  `WITH found AS MATERIALIZED (
      SELECT c.id, c.document_id, c.version, c.words, length(c.content) AS length
      FROM ${matching(isNarrow, query)} LIMIT ${maxCandidates})
    SELECT f.id, sum(q.weight * u.times * 2.2 / (u.times + 1.2 * (0.25 + 0.75 * f.length / 800.0)))::float8 AS score
    FROM found f
      JOIN documents d ON d.tenant_id = $1 AND d.id = f.document_id AND d.indexed_version = f.version
      CROSS JOIN LATERAL (SELECT lexeme, coalesce(cardinality(positions), 1) AS times FROM unnest(f.words)) AS u
      JOIN unnest($4::text[], $5::float8[]) AS q(lexeme, weight) ON q.lexeme = u.lexeme
    GROUP BY f.id ORDER BY score DESC, f.id LIMIT $6`

const rankByAnyWord = bothWays('chunk-rank-any-word', rankChunks('$3::tsquery'))

const rankByOperators = bothWays(
  'chunk-rank-operators',
  rankChunks(`websearch_to_tsquery('public.parley', $3)`),
)

/** Up to so many chunks are looked through document by document. */
const narrowMax = 2_000

/** Whether a query says how its words must stand: "a phrase", `OR` between words, `-` before a word. */
export const hasOperators = (query: string): boolean => /"|(^|\s)-\S|\sOR\s/.test(query)

/**
 * The chunks in which words of a query stand, best first, by how often they stand there and how rare they are. An exact
 * query finds only what it describes. Of a question any word will do, the rare ones first: few answers repeat every word
 * of their question.
 */
export async function rankByWords(
  db: TenantDatabase,
  scope: Scope,
  { text, isExact }: Query,
  limit: number,
): Promise<WordRanking> {
  const { documentIds, chunkCount } = scope
  if (documentIds.length === 0) return { ranked: [], wholeScore: 0 }
  type Word = { lexeme: string; count: number; query: string }
  const way = chunkCount <= narrowMax ? 'narrow' : 'wide'
  const words = await db.searchSql<Word>(findWords[way], [documentIds, text])
  const known = words.filter(({ count }) => count > 0).sort((a, b) => a.count - b.count)
  const chosen = isExact ? known : withinBounds(known)
  const wholeScore = words.reduce((sum, { count }) => sum + weightOf(count, chunkCount), 0)
  if (chosen.length === 0) return { ranked: [], wholeScore }
  const asked = chosen.map((word) => word.query).join(' | ')
  const ranked = await db.searchSql<Ranked>((isExact ? rankByOperators : rankByAnyWord)[way], [
    documentIds,
    isExact ? text : asked,
    chosen.map(({ lexeme }) => lexeme),
    chosen.map(({ count }) => weightOf(count, chunkCount)),
    limit,
  ])
  return { ranked, wholeScore }
}

/** The rarest words, as many as find no more chunks than can be ranked. */
function withinBounds<Word extends { count: number }>(words: readonly Word[]): Word[] {
  let sum = 0
  return words.filter(({ count }, index) => {
    sum += count
    return index === 0 || sum <= maxCandidates
  })
}

const weightOf = (count: number, all: number) =>
  Math.log(1 + (Math.max(all - count, 0) + 0.5) / (count + 0.5))
