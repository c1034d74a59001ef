import type { Session, Sql, Statement } from '../../db/client.ts'
import { allowLongStatements } from '../../db/long-statements.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { sessionColumns } from './rows.ts'

/** A UUIDv7 made by the database, which has a function for it from PostgreSQL 18 on only. */
const newUuid = `(overlay(lpad(to_hex(floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
  PLACING '-' FROM 9 FOR 0) || '-7' || substr(gen_random_uuid()::text, 16))::uuid`

/**
 * The conversation that ends with the message `$4`, with what its replies were given of documents. Of an older version,
 * that is the one it stood in: what was replaced earlier had left it, what was replaced with it or later had not. A reply
 * that is still being written is copied as far as it is stored; nobody goes on with the copy.
 */
const copyHistory: Statement = {
  name: 'session-copy-history',
  text: `WITH original AS (
      SELECT m.*, ${newUuid} AS copy_id, row_number() OVER (ORDER BY m.seq) AS place
      FROM messages last
      JOIN messages m ON m.tenant_id = last.tenant_id AND m.session_id = last.session_id AND m.seq <= last.seq
        AND (m.replaced_at IS NULL OR m.replaced_at >= last.replaced_at)
      WHERE last.tenant_id = $1 AND last.session_id = $3 AND last.id = $4),
    copied AS (
      INSERT INTO messages (tenant_id, session_id, id, seq, role, content, tool_calls, tool_call_id, agent_id,
        author_id, status, finish_reason, model, input_tokens, output_tokens, cached_input_tokens,
        cost, metadata, edited_at, created_at)
      SELECT o.tenant_id, $2, o.copy_id, o.place, o.role, o.content, o.tool_calls,
        o.tool_call_id, o.agent_id, o.author_id,
        CASE o.status WHEN 'STREAMING' THEN 'INTERRUPTED' ELSE o.status END,
        CASE o.status WHEN 'STREAMING' THEN 'OTHER' ELSE o.finish_reason END,
        o.model, o.input_tokens, o.output_tokens, o.cached_input_tokens, o.cost, o.metadata, o.edited_at, o.created_at
      FROM original o
      RETURNING seq),
    cited AS (
      INSERT INTO citations (tenant_id, message_id, marker, document_id, score, page, heading, start_offset, end_offset, content)
      SELECT c.tenant_id, o.copy_id, c.marker, c.document_id, c.score, c.page, c.heading, c.start_offset, c.end_offset, c.content
      FROM original o
      JOIN citations c ON c.tenant_id = o.tenant_id AND c.message_id = o.id
      JOIN documents d ON d.tenant_id = c.tenant_id AND d.id = c.document_id FOR KEY SHARE OF d)
    UPDATE sessions s SET last_seq = history.count, message_count = history.count
    FROM (SELECT count(*)::int AS count FROM copied) history
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

// Erasing the source waits for the fork, and the other way round.
const lockSource: Statement = {
  name: 'session-lock-source',
  text: 'SELECT id FROM sessions WHERE tenant_id = $1 AND id = $2 AND deleted_at IS NULL FOR KEY SHARE',
}

// What the answers of the source draw on, those of the fork do, too.
const copyDocuments: Statement = {
  name: 'session-copy-documents',
  text: `INSERT INTO session_documents (tenant_id, session_id, document_id)
    SELECT sd.tenant_id, $2, d.id FROM session_documents sd
    JOIN documents d ON d.tenant_id = sd.tenant_id AND d.id = sd.document_id
    WHERE sd.tenant_id = $1 AND sd.session_id = $3 FOR KEY SHARE OF d`,
}

/** Whoever forks or imports has read it. */
export const markAsRead: Statement = {
  name: 'read-mark-of-copy',
  text: 'INSERT INTO read_marks (tenant_id, session_id, user_id, last_read_seq) VALUES ($1, $2, $3, $4)',
}

/** Keeps the source of a fork from being erased meanwhile; throws `NotFoundError` where it is gone. */
export async function holdSource(sql: Sql, { tenantId, id }: Session): Promise<void> {
  const [source] = await sql(lockSource, [tenantId, id])
  if (!source) throw new NotFoundError('session')
}

/**
 * Fills a new session with the history of another up to and including a message, in the caller's transaction; throws
 * `NotFoundError` where the message is gone.
 */
export async function copyConversation(
  sql: Sql,
  fork: Session,
  from: { sessionId: string; messageId: string },
): Promise<Session> {
  const values = [fork.tenantId, fork.id, from.sessionId, from.messageId]
  await allowLongStatements(sql)
  const [filled] = await sql<Session>(copyHistory, values)
  if (!filled) throw new Error('The fork was not stored.')
  // The message was there when it was asked for, and was deleted meanwhile.
  if (filled.lastSeq === 0) throw new NotFoundError('message')
  await sql(copyDocuments, [fork.tenantId, fork.id, from.sessionId])
  await sql(markAsRead, [fork.tenantId, fork.id, fork.userId, filled.lastSeq])
  return filled
}
