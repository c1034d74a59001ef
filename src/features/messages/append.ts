import { actsForTenant, isEditorSql } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Session, Sql, Statement } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'

export const messageColumns = columnsOf('Message', 'm')

/** A message to be stored; what is absent takes the column's default. */
export type Draft = Pick<Message, 'id' | 'role' | 'content'> &
  Partial<
    Pick<Message, 'toolCalls' | 'toolCallId' | 'agentId' | 'authorId' | 'runId' | 'model' | 'metadata'>
  > &
  Partial<Pick<Message, 'clientId' | 'clientDigest' | 'status' | 'replacesId'>> & {
    /** It stands for an answer of the session's agent. */
    isByAgent?: boolean
  }

const sessionPrefix = 'session.'

// One statement, hence one round trip. The row lock on the session is what makes commit order the order of `seq`.
const appendToSession: Statement = {
  name: 'message-append',
  text: `WITH s AS (
      UPDATE sessions s SET last_seq = last_seq + $3, message_count = message_count + $3 - $5, revision = revision + 1,
        last_message_at = clock_timestamp(), updated_at = clock_timestamp(), title = coalesce(title, $4),
        title_source = CASE WHEN title IS NULL AND $4::text IS NOT NULL THEN 'FIRST_MESSAGE' ELSE title_source END
      WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL AND ${isEditorSql('$7')}
        AND ($8 OR NOT s.is_stateless) RETURNING s.*
    ), m AS (
      INSERT INTO messages (tenant_id, session_id, id, seq, role, content, tool_calls, tool_call_id, agent_id,
        author_id, run_id, status, model, metadata, client_id, client_digest, replaces_id, edited_at,
        created_at, updated_at)
      SELECT $1, $2, d.id, s.last_seq - $3 + d.place, d.role, d.content, coalesce(d."toolCalls", '[]'),
        d."toolCallId", CASE WHEN d."isByAgent" THEN s.agent_id ELSE d."agentId" END, d."authorId", d."runId", coalesce(d.status, 'COMPLETE'), d.model,
        coalesce(d.metadata, '{}'), d."clientId", d."clientDigest", d."replacesId",
        CASE WHEN d.role = 'USER' AND d."replacesId" IS NOT NULL THEN clock_timestamp() END, clock_timestamp(),
        clock_timestamp()
      FROM s, jsonb_to_recordset($6::jsonb) AS d(id uuid, place int, role "MessageRole", content text,
        "toolCalls" jsonb, "toolCallId" text, "agentId" uuid, "authorId" uuid, "runId" uuid, status "MessageStatus",
        model text, metadata jsonb, "clientId" text, "clientDigest" text, "replacesId" uuid, "isByAgent" boolean)
      RETURNING *
    )
    SELECT ${messageColumns}, ${columnsOf('Session', 's', sessionPrefix)} FROM m CROSS JOIN s ORDER BY m.seq`,
}

type Appending = {
  /** How many messages of the conversation they take the place of; none by default. */
  replacedCount?: number
  /** Who must have the right to write in the session; not asked where the caller has looked already. */
  writer?: Viewer
}

/**
 * Stores messages at the end of a session, numbered without gaps, as one statement. A session without a title gets
 * one from the first message of a person. Throws a `NotFoundError` where the session is not there for the writer.
 */
export async function appendMessages(
  sql: Sql,
  { tenantId, sessionId }: { tenantId: string; sessionId: string },
  drafts: readonly Draft[],
  { replacedCount = 0, writer }: Appending = {},
): Promise<{ session: Session; messages: Message[] }> {
  const asked = drafts.find(({ role, content }) => role === 'USER' && content)?.content
  const rows = await sql<Record<string, unknown>>(appendToSession, [
    tenantId,
    sessionId,
    drafts.length,
    asked ? titleFrom(asked) : null,
    replacedCount,
    JSON.stringify(drafts.map((draft, index) => ({ ...draft, place: index + 1 }))),
    writer && !actsForTenant(writer) ? writer.userId : null,
    writer === undefined,
  ])
  const [first] = rows
  if (!first) throw new NotFoundError('session')
  const session: Record<string, unknown> = {}
  for (const name in first)
    if (name.startsWith(sessionPrefix)) session[name.slice(sessionPrefix.length)] = first[name]
  return { session: session as Session, messages: rows.map(messageOf) }
}

/** A row without the columns of the session, which stand beside those of each message. */
function messageOf(row: Record<string, unknown>): Message {
  const message: Record<string, unknown> = {}
  for (const name in row) if (!name.startsWith(sessionPrefix)) message[name] = row[name]
  return message as Message
}

export const messageAdded = (message: Message, { revision }: Session): ChangeEvent => ({
  type: 'MessageAdded',
  revision,
  message: toWire(message),
})

export const messageUpdated = (message: Message, { revision }: Session): ChangeEvent => ({
  type: 'MessageUpdated',
  revision,
  message: toWire(message),
})

const titleLength = 60

/** The first words of a message, on one line and cut between words. */
export function titleFrom(content: string): string {
  const line = content.replace(/\s+/gu, ' ').trim()
  if (line.length <= titleLength) return line
  const cut = line.slice(0, titleLength + 1)
  const atWord = cut.includes(' ') ? cut.slice(0, cut.lastIndexOf(' ')) : line.slice(0, titleLength)
  return `${atWord.toWellFormed().replace('\ufffd', '')}…`
}
