import { actsForTenant, isEditorSql } from '../../auth/policy.ts'
import type { Viewer } from '../../auth/viewer.ts'
import type { Message, Session, Statement, Step } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { NotFoundError } from '../../lib/errors.ts'
import { type ChangeEvent, toWire } from '../../realtime/feed-events.ts'
import { sessionColumns } from '../sessions/rows.ts'

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

/** What the messages take from their session. */
export type Numbered = Pick<Session, 'lastSeq' | 'agentId' | 'lastMessageAt' | 'revision'>

/** What so many messages, in the place of `replaced` others, change in the row of their session. */
export const raised = (count: string, replaced: string, title: string): string =>
  `last_seq = last_seq + ${count}, message_count = message_count + ${count} - ${replaced}, revision = revision + 1,
    last_message_at = clock_timestamp(), updated_at = clock_timestamp(), title = coalesce(s.title, ${title}),
    title_source = CASE WHEN s.title IS NULL AND ${title}::text IS NOT NULL THEN 'FIRST_MESSAGE' ELSE title_source END`

/** Inserts drafts, which `from` ends with as `d`, at the end of their sessions, which are `s` as they are by then. */
export const insertDrafts = (seq: string, from: string, where: string): string => `
  INSERT INTO messages (tenant_id, session_id, id, seq, role, content, tool_calls, tool_call_id, agent_id,
    author_id, run_id, status, model, metadata, client_id, client_digest, replaces_id, edited_at, created_at, updated_at)
  SELECT $1, s.id, d.id, ${seq}, d.role, d.content, coalesce(d."toolCalls", '[]'),
    d."toolCallId", CASE WHEN d."isByAgent" THEN s.agent_id ELSE d."agentId" END, d."authorId", d."runId",
    coalesce(d.status, 'COMPLETE'), d.model, coalesce(d.metadata, '{}'), d."clientId", d."clientDigest",
    d."replacesId", CASE WHEN d.role = 'USER' AND d."replacesId" IS NOT NULL THEN s.last_message_at END,
    s.last_message_at, s.last_message_at
  FROM ${from}(id uuid, "sessionId" uuid, place int, role "MessageRole", content text,
    "toolCalls" jsonb, "toolCallId" text, "agentId" uuid, "authorId" uuid, "runId" uuid, status "MessageStatus",
    model text, metadata jsonb, "clientId" text, "clientDigest" text, "replacesId" uuid, "isByAgent" boolean) ${where}`

// One statement, hence one round trip. The row lock on the session is what makes commit order the order of `seq`. The rows
// of the messages need not be read again: what the database gives them is in the session's.
const append: Statement = {
  name: 'message-append',
  text: `WITH s AS (
      UPDATE sessions s SET ${raised('$3', '$5', '$4')}
      WHERE s.tenant_id = $1 AND s.id = $2 AND s.deleted_at IS NULL AND ${isEditorSql('$7')}
        AND ($8 OR NOT s.is_stateless)
        AND ($9::text[] IS NULL OR NOT EXISTS (SELECT FROM messages o WHERE o.tenant_id = $1 AND o.session_id = $2
          AND o.client_id = ANY($9)))
      RETURNING s.*
    ), m AS (${insertDrafts('s.last_seq - $3 + d.place', 's, jsonb_to_recordset($6::jsonb) AS d', '')})
    SELECT ${sessionColumns} FROM s`,
}

export type Place = { tenantId: string; sessionId: string }

type Appending = {
  /** How many messages of the conversation they take the place of; none by default. */
  replacedCount?: number
  /** Who must have the right to write in the session; not asked where the caller has looked already. */
  writer?: Viewer
  /** Keys of which none may be in use in the session. */
  newKeys?: readonly string[]
  /** What a session without a title is called from now on. */
  title?: string | null
}

export type Appended = { session: Session; messages: Message[] }

/**
 * Stores messages at the end of a session, numbered without gaps, as one statement. Throws a `NotFoundError` where the session is not there for the writer, or one
 * of the keys is.
 */
export const appending = (
  { tenantId, sessionId }: Place,
  drafts: readonly Draft[],
  { replacedCount = 0, writer, newKeys = [], title = null }: Appending = {},
): Step<Appended> => ({
  statement: append,
  values: [
    tenantId,
    sessionId,
    drafts.length,
    title,
    replacedCount,
    JSON.stringify(placed(drafts)),
    writer && !actsForTenant(writer) ? writer.userId : null,
    writer === undefined,
    newKeys.length > 0 ? newKeys : null,
  ],
  read([session]: Session[]) {
    if (!session) throw new NotFoundError('session')
    return { session, messages: storedIn({ tenantId, sessionId }, drafts, session) }
  },
})

/** The title that a session without one takes from these messages, if any; see `titleFrom`. */
export function titleOf(drafts: readonly Draft[], maxLength: number): string | null {
  const asked = drafts.find(({ role, content }) => role === 'USER' && content)?.content
  return asked ? titleFrom(asked, maxLength) : null
}

/** With their places among each other, from 1. */
export const placed = (drafts: readonly Draft[]) =>
  drafts.map((draft, index) => ({ ...draft, place: index + 1 }))

/** The rows of drafts that were stored in a session, which is as the statement has left it. */
export function storedIn(place: Place, drafts: readonly Draft[], session: Numbered): Message[] {
  const first = session.lastSeq - drafts.length + 1
  return drafts.map((draft, index) => storedAs(draft, { ...place, seq: first + index, session }))
}

/** The row of a draft, as the statement has stored it. */
function storedAs(
  draft: Draft,
  { session: { agentId, lastMessageAt }, ...place }: Place & { seq: number; session: Numbered },
): Message {
  return {
    ...place,
    id: draft.id,
    role: draft.role,
    content: draft.content,
    toolCalls: draft.toolCalls ?? [],
    toolCallId: draft.toolCallId ?? null,
    agentId: draft.isByAgent ? agentId : (draft.agentId ?? null),
    authorId: draft.authorId ?? null,
    runId: draft.runId ?? null,
    status: draft.status ?? 'COMPLETE',
    finishReason: null,
    model: draft.model ?? null,
    inputTokens: null,
    outputTokens: null,
    cachedInputTokens: null,
    cost: null,
    metadata: draft.metadata ?? {},
    clientId: draft.clientId ?? null,
    clientDigest: draft.clientDigest ?? null,
    editedAt: draft.role === 'USER' && draft.replacesId ? lastMessageAt : null,
    replacesId: draft.replacesId ?? null,
    replacedAt: null,
    createdAt: lastMessageAt,
    updatedAt: lastMessageAt,
  }
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
const cutSign = '…'

/** The first words of a message, on one line and cut between words; with the sign of that no longer than `maxLength`. */
export function titleFrom(content: string, maxLength: number): string {
  const line = lineOf(content)
  if (line.length <= Math.min(titleLength, maxLength)) return line
  const room = Math.min(titleLength, maxLength - cutSign.length)
  const cut = line.slice(0, room + 1)
  const atWord = cut.includes(' ') ? cut.slice(0, cut.lastIndexOf(' ')) : line.slice(0, room)
  return `${atWord.toWellFormed().replace('\ufffd', '')}${cutSign}`
}

/** Whether a title was cut from this message, under whatever limit there was then. */
export function isTitleFrom(content: string, title: string): boolean {
  const line = lineOf(content)
  return title === line || (title.endsWith(cutSign) && line.startsWith(title.slice(0, -cutSign.length)))
}

const lineOf = (content: string) => content.replace(/\s+/gu, ' ').trim()
