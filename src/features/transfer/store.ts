import type { Session, Sql, Statement } from '../../db/client.ts'
import { newId } from '../../lib/ids.ts'
import { markAsRead } from '../sessions/fork.ts'
import { failureToInsert } from '../sessions/insert.ts'
import { sessionColumns } from '../sessions/rows.ts'
import type { SessionDocument } from './document.ts'
import { type Sources, storeSources } from './sources.ts'

/** What the names in a document stand for here; a name that is absent stands for nothing. */
export type Names = {
  agents: ReadonlyMap<string, string>
  templates: ReadonlyMap<string, string>
  users: ReadonlyMap<string, string>
}

export type ImportedSession = {
  id: string
  tenantId: string
  userId: string
  agentId: string | null
  model: string | null
  clientId: string | null
  clientDigest: string | null
}

// Not active: an import neither pushes out sessions that are in use nor fails at their limit.
const insertSession: Statement = {
  name: 'transfer-insert-session',
  text: `INSERT INTO sessions AS s (tenant_id, id, user_id, agent_id, title, title_source, model, system_prompt,
      parameters, metadata, tags, is_active, client_id, client_digest, last_seq, message_count, created_at,
      last_message_at, context_policy, template_id)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, false, $12, $13, $14, $15, $16, $17, $18,
      (SELECT t.id FROM templates t WHERE t.tenant_id = $1 AND t.id = $19 FOR KEY SHARE))
    RETURNING ${sessionColumns}`,
}

const insertMessages: Statement = {
  name: 'transfer-insert-messages',
  text: `INSERT INTO messages (tenant_id, session_id, id, seq, role, content, tool_calls, tool_call_id, agent_id,
      author_id, status, finish_reason, model, input_tokens, output_tokens, cached_input_tokens, cost, metadata,
      edited_at, replaces_id, replaced_at, created_at, updated_at, client_id)
    SELECT $1, $2, d.id, d.seq, d.role, d.content, d."toolCalls", d."toolCallId", d."agentId", d."authorId", d.status,
      d."finishReason", d.model, d."inputTokens", d."outputTokens", d."cachedInputTokens", d.cost, d.metadata,
      d."editedAt", d."replacesId", d."replacedAt", d."createdAt", d."updatedAt", d."clientId"
    FROM jsonb_to_recordset($3::jsonb) AS d(id uuid, seq int, role "MessageRole", content text, "toolCalls" jsonb,
      "toolCallId" text, "agentId" uuid, "authorId" uuid, status "MessageStatus", "finishReason" "FinishReason",
      model text, "inputTokens" int, "outputTokens" int, "cachedInputTokens" int, cost numeric, metadata jsonb,
      "editedAt" timestamptz, "replacesId" uuid, "replacedAt" timestamptz, "createdAt" timestamptz, "updatedAt" timestamptz,
      "clientId" text)`,
}

const batchSize = 500

/** Stores a document as a session of its own, as part of the caller's transaction; its owner has read all of it. */
export async function storeDocument(
  sql: Sql,
  document: SessionDocument,
  session: ImportedSession,
  { names, sources }: { names: Names; sources: Sources },
): Promise<Session> {
  const { tenantId, id, userId } = session
  const rows = rowsOf(document, userId, names)
  const templateId = names.templates.get(document.session.template ?? '') ?? null
  const stored = await storeSession(sql, document, { ...session, templateId }, rows)
  for (let start = 0; start < rows.length; start += batchSize)
    await sql(insertMessages, [tenantId, id, JSON.stringify(rows.slice(start, start + batchSize))])
  await storeSources(sql, session, document, { sources, messageIds: rows.map(({ id }) => id) })
  await sql(markAsRead, [tenantId, id, userId, rows.length])
  return stored
}

async function storeSession(
  sql: Sql,
  { session: settings }: SessionDocument,
  owned: ImportedSession & { templateId: string | null },
  rows: readonly Row[],
): Promise<Session> {
  const { tenantId, id, userId, agentId, model, clientId, clientDigest, templateId } = owned
  const createdAt = settings.createdAt ?? rows[0]?.createdAt ?? new Date()
  const times = rows.map((row) => row.createdAt.getTime())
  const lastMessageAt = new Date(times.reduce((latest, time) => Math.max(latest, time), createdAt.getTime()))
  const [session] = await sql<Session>(insertSession, [
    tenantId,
    id,
    userId,
    agentId,
    settings.title ?? null,
    settings.title ? (settings.titleSource ?? 'PERSON') : null,
    model,
    settings.systemPrompt ?? null,
    settings.parameters ?? {},
    settings.metadata ?? {},
    settings.tags ?? [],
    clientId,
    clientDigest,
    rows.length,
    rows.filter(({ replacedAt }) => replacedAt === null).length,
    createdAt,
    lastMessageAt,
    settings.contextPolicy ?? null,
    templateId,
  ]).catch((error) => {
    throw failureToInsert(error)
  })
  if (!session) throw new Error('The session was not stored.')
  return session
}

type Row = ReturnType<typeof rowsOf>[number]

/** One row per message, numbered in the order of the document. */
function rowsOf({ session, messages }: SessionDocument, ownerId: string, { agents, users }: Names) {
  const ids = new Map<string, string>()
  let before = session.createdAt ?? new Date()
  return messages.map((message, index) => {
    const id = newId()
    if (message.id) ids.set(message.id, id)
    const createdAt = message.createdAt ?? before
    before = createdAt
    return {
      id,
      seq: index + 1,
      role: message.role,
      content: message.content ?? null,
      toolCalls: message.toolCalls ?? [],
      toolCallId: message.toolCallId ?? null,
      agentId: agents.get(message.agent ?? '') ?? null,
      authorId: authorOf(message, ownerId, users),
      ...stateOf(message),
      model: message.model ?? null,
      inputTokens: message.inputTokens ?? null,
      outputTokens: message.outputTokens ?? null,
      cachedInputTokens: message.cachedInputTokens ?? null,
      cost: message.cost ?? null,
      metadata: message.metadata ?? {},
      clientId: message.clientId ?? null,
      editedAt: message.editedAt ?? null,
      replacesId: ids.get(message.replaces ?? '') ?? null,
      replacedAt: message.replacedAt ?? null,
      createdAt,
      updatedAt: message.updatedAt ?? createdAt,
    }
  })
}

type DocumentMessage = SessionDocument['messages'][number]

/** A person's message that names no author is the importer's own; one whose author is given as null is nobody's. */
function authorOf({ role, author }: DocumentMessage, ownerId: string, users: Names['users']): string | null {
  if (author === undefined && role === 'USER') return ownerId
  return users.get(author ?? '') ?? null
}

/** A reply that was being written when it was exported will never be finished here. */
function stateOf({ status, finishReason }: DocumentMessage) {
  if (status === 'STREAMING') return { status: 'INTERRUPTED', finishReason: finishReason ?? 'OTHER' }
  return { status: status ?? 'COMPLETE', finishReason: finishReason ?? null }
}
