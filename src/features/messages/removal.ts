import type { Message, Session, Sql, Statement } from '../../db/client.ts'
import { NotFoundError } from '../../lib/errors.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import { sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { isTitleFrom } from './append.ts'

type Place = { tenantId: string; sessionId: string }

const lockSession: Statement = {
  name: 'session-lock',
  text: `SELECT s.title, s.title_source AS "titleSource" FROM sessions s
    WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL FOR NO KEY UPDATE`,
}

/** Takes the row lock that all changes of a session's messages take: what is read then holds until the commit. */
export async function lockMessages(sql: Sql, { tenantId, sessionId }: Place) {
  const [session] = await sql<Pick<Session, 'title' | 'titleSource'>>(lockSession, [tenantId, sessionId])
  if (!session) throw new NotFoundError('session')
  return session
}

// One stamp for all: what left the conversation together is found together.
const replaceFrom: Statement = {
  name: 'message-replace-from',
  text: `UPDATE messages m SET replaced_at = statement_timestamp(), updated_at = statement_timestamp()
    WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.seq >= $3 AND m.replaced_at IS NULL RETURNING m.id, m.seq`,
}

// A summary that reaches beyond them tells what they said.
const dropSummary: Statement = {
  name: 'message-drop-summary',
  text: 'DELETE FROM summaries WHERE tenant_id = $1 AND session_id = $2 AND through_seq >= $3',
}

/**
 * Takes messages out of the conversation, from `seq` to its end; they are kept. Gives their ids in order. The caller
 * holds the lock, and counts them off the session with the messages that it puts in their place.
 */
export async function replaceMessages(
  sql: Sql,
  { tenantId, sessionId }: Place,
  seq: number,
): Promise<string[]> {
  const replaced = await sql<Pick<Message, 'id' | 'seq'>>(replaceFrom, [tenantId, sessionId, seq])
  await sql(dropSummary, [tenantId, sessionId, seq])
  return replaced.sort((a, b) => a.seq - b.seq).map(({ id }) => id)
}

// A reply's call ids may be used again. By a later version of it: its own results left the conversation when it did. By a
// later reply: the results from there on are that one's.
const findWithDependents: Statement = {
  name: 'message-with-dependents',
  text: `WITH RECURSIVE version AS (
      SELECT m.* FROM messages m WHERE m.tenant_id = $1 AND m.id = $2
      UNION ALL
      SELECT m.* FROM messages m JOIN version v ON m.tenant_id = v.tenant_id AND m.id = v.replaces_id)
    SELECT m.id, m.seq, m.content, m.replaced_at AS "replacedAt" FROM messages m
    WHERE m.tenant_id = $1 AND m.session_id = (SELECT session_id FROM version LIMIT 1) AND EXISTS (
      SELECT FROM version v WHERE m.id = v.id OR (m.role = 'TOOL' AND m.seq > v.seq
        AND m.replaced_at IS NOT DISTINCT FROM v.replaced_at
        AND v.tool_calls @> jsonb_build_array(jsonb_build_object('id', m.tool_call_id))
        AND NOT EXISTS (SELECT FROM messages later WHERE later.tenant_id = $1 AND later.session_id = m.session_id
          AND later.seq > v.seq AND later.seq < m.seq AND later.replaced_at IS NOT DISTINCT FROM v.replaced_at
          AND later.tool_calls @> jsonb_build_array(jsonb_build_object('id', m.tool_call_id)))))
    ORDER BY m.seq`,
}

export type Doomed = Pick<Message, 'id' | 'seq' | 'content' | 'replacedAt'>

/** A message, its earlier versions, and the results of their tool calls: what is erased together. */
export const messagesErasedWith = (sql: Sql, tenantId: string, messageId: string) =>
  sql<Doomed>(findWithDependents, [tenantId, messageId])

const forgetVersions: Statement = {
  name: 'message-forget-versions',
  text: `UPDATE messages m SET replaces_id = NULL WHERE m.tenant_id = $1 AND m.replaces_id = ANY($2)`,
}

// The runs go with the messages that they ask for and answer.
const forgetRuns: Statement = {
  name: 'message-forget-runs',
  text: `UPDATE messages m SET run_id = NULL FROM runs r
    WHERE m.tenant_id = $1 AND m.run_id = r.id AND r.tenant_id = $1
      AND (r.user_message_id = ANY($2) OR r.assistant_message_id = ANY($2))`,
}

const deleteMessages: Statement = {
  name: 'message-delete',
  text: 'DELETE FROM messages m WHERE m.tenant_id = $1 AND m.id = ANY($2)',
}

const countOff: Statement = {
  name: 'session-count-off',
  text: `UPDATE sessions s SET message_count = message_count - $3, revision = revision + 1,
      updated_at = clock_timestamp(), title = CASE WHEN $4 THEN NULL ELSE title END,
      title_source = CASE WHEN $4 THEN NULL ELSE title_source END
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

/** Erases messages and tells it; a title that was cut from one of them goes, too. The caller holds the lock. */
export async function eraseMessages(
  sql: Sql,
  { tenantId, sessionId }: Place,
  doomed: readonly Doomed[],
  { title, titleSource }: Pick<Session, 'title' | 'titleSource'>,
): Promise<{ session: Session; events: ChangeEvent[] }> {
  const ids = doomed.map(({ id }) => id)
  const current = doomed.filter(({ replacedAt }) => replacedAt === null)
  const holdsTitle =
    titleSource === 'FIRST_MESSAGE' &&
    doomed.some(({ content }) => content && isTitleFrom(content, title ?? ''))
  await sql(dropSummary, [tenantId, sessionId, Math.min(...doomed.map(({ seq }) => seq))])
  for (const statement of [forgetVersions, forgetRuns, deleteMessages]) await sql(statement, [tenantId, ids])
  const [session] = await sql<Session>(countOff, [tenantId, sessionId, current.length, holdsTitle])
  if (!session) throw new NotFoundError('session')
  return { session, events: [...messagesRemoved(ids, session), sessionUpdated(session)] }
}

export const messagesRemoved = (ids: readonly string[], { revision }: Session): ChangeEvent[] =>
  ids.map((messageId) => ({ type: 'MessageRemoved', revision, messageId }))
