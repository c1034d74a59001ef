import type { Message, Run, Session, Sql, Statement, TenantDatabase } from '../../db/client.ts'
import type { ModelUsage, ToolCall } from '../../llm/provider.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import { messageColumns, messageUpdated } from '../messages/append.ts'
import { type Doomed, eraseMessages, messagesErasedWith } from '../messages/removal.ts'
import { countUsed } from '../quotas/counting.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { runColumns, runFinished } from './rows.ts'

/**
 * How a run ended. `text` null leaves what the last checkpoint stored; `toolCalls` and `usage` are those since the run
 * began, or went on.
 */
export type Ending = {
  status: 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'INTERRUPTED'
  finishReason: NonNullable<Message['finishReason']>
  text: string | null
  toolCalls: readonly ToolCall[]
  usage: ModelUsage
  /** Of that usage, in US dollars; null where the price is not known. */
  cost: string | null
  error: { code: string; message: string } | null
  /** Milliseconds since the first word. */
  sinceFirstTokenMs?: number | null
}

export const noUsage: ModelUsage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }

// `attempt` is the fence: whoever lost the run to a sweep or to another node changes nothing any more. The session's row
// is locked first, as by all who change a session and its runs: two that took them in other orders would block.
const endRun: Statement = {
  name: 'run-end',
  text: `WITH place AS MATERIALIZED (
      SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.id = $13 FOR NO KEY UPDATE)
    UPDATE runs r SET status = $5::"RunStatus", error_code = $6, error_message = $7,
      input_tokens = input_tokens + $8, output_tokens = output_tokens + $9,
      cached_input_tokens = cached_input_tokens + $10, cost = cost + coalesce($12::numeric, 0),
      first_token_at = coalesce(r.first_token_at, statement_timestamp() - $11 * interval '1 ms'),
      finished_at = clock_timestamp(), updated_at = clock_timestamp(), lease_until = NULL, pending_tool_calls = '[]',
      action_expires_at = NULL
    FROM place WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status::text = ANY($4)
    RETURNING ${runColumns}`,
}

// What a paused reply holds already is its own; a run that is ended then adds nothing to it.
const endMessage: Statement = {
  name: 'message-end',
  text: `UPDATE messages m SET status = $3::"MessageStatus", finish_reason = $4::"FinishReason",
      content = coalesce($5, content), tool_calls = CASE WHEN m.tool_calls = '[]' THEN $6 ELSE m.tool_calls END,
      input_tokens = coalesce(m.input_tokens, $7), output_tokens = coalesce(m.output_tokens, $8), model = $9,
      cost = coalesce(m.cost, $10), cached_input_tokens = coalesce(m.cached_input_tokens, $11), updated_at = clock_timestamp()
    WHERE m.tenant_id = $1 AND m.id = $2 RETURNING ${messageColumns}`,
}

const countUsage: Statement = {
  name: 'session-count-usage',
  text: `UPDATE sessions s SET revision = revision + $7, input_tokens = input_tokens + $3,
      output_tokens = output_tokens + $4, cached_input_tokens = cached_input_tokens + $5,
      cost = cost + coalesce($6::numeric, 0), run_count = run_count + $8,
      last_message_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

// The ledger: what was used is still known when the session, its messages and the run are gone.
const recordUsage: Statement = {
  name: 'usage-record',
  text: `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
      output_tokens, cached_input_tokens, cost, time_to_first_token_ms, created_at)
    SELECT r.tenant_id, r.id, r.user_id, CASE WHEN NOT s.is_stateless THEN s.id END, $3, r.model, r.status, r.input_tokens, r.output_tokens,
      r.cached_input_tokens, r.cost, round(extract(epoch FROM r.first_token_at - r.queued_at) * 1000), r.finished_at
    FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
    WHERE r.tenant_id = $1 AND r.id = $2`,
}

const messageStatus = {
  COMPLETED: 'COMPLETE',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
  INTERRUPTED: 'INTERRUPTED',
} as const

/**
 * Ends a run in one transaction (text, status, usage, counters) and tells it. Null where it had ended before or
 * belongs to another attempt: exactly one caller ends a run. `from` names the states that it may be in.
 */
export function endRunOnce(
  changes: Changes,
  db: TenantDatabase,
  run: Run,
  from: readonly Run['status'][],
  ending: Ending,
): Promise<Run | null> {
  return changes.commit<Run | null>(db, run.sessionId, async (sql) => {
    const ended = await storeRunEnd(sql, run, from, ending)
    if (!ended) return { result: null, events: [] }
    const events = await endReply(sql, ended, ending)
    await countUsed(sql, ended, ending)
    return { result: ended, events }
  })
}

/** Ends the reply with its run; gives the events that tell both. */
async function endReply(sql: Sql, ended: Run, ending: Ending): Promise<ChangeEvent[]> {
  const isKept = !ended.isRolledBack
  const reply = { ...ending, status: messageStatus[ending.status] }
  const { message, session } = await storeReplyEnd(sql, ended, reply, { isEnd: true, isKept })
  await sql(recordUsage, [ended.tenantId, ended.id, message.agentId])
  // Telling the changes of a deleted session would bring it back to sidebars.
  if (session.deletedAt !== null && isKept) return [changedUnseen(session)]
  if (isKept) return [messageUpdated(message, session), runFinished(ended, session), sessionUpdated(session)]
  const removed = await eraseTurn(sql, ended, session)
  return session.deletedAt === null
    ? [runFinished(ended, removed.session), ...removed.events]
    : [changedUnseen(removed.session)]
}

async function storeRunEnd(
  sql: Sql,
  run: Run,
  from: readonly Run['status'][],
  { status, error, usage, cost, sinceFirstTokenMs }: Ending,
) {
  const [ended] = await sql<Run>(endRun, [
    run.tenantId,
    run.id,
    run.attempt,
    from,
    status,
    error?.code ?? null,
    error?.message ?? null,
    usage.inputTokens,
    usage.outputTokens,
    usage.cachedInputTokens,
    sinceFirstTokenMs ?? null,
    cost,
    run.sessionId,
  ])
  return ended
}

/**
 * Ends the latest reply of a run and counts what it used; raises the session's revision, but where the reply is not kept,
 * which its removal tells.
 */
export async function storeReplyEnd(
  sql: Sql,
  run: Run,
  reply: Omit<Ending, 'status'> & { status: Message['status'] },
  { isEnd, isKept }: { isEnd: boolean; isKept: boolean },
): Promise<{ message: Message; session: Session }> {
  const { cost } = reply
  const { inputTokens, outputTokens, cachedInputTokens } = reply.usage
  const [session] = await sql<Session>(countUsage, [
    run.tenantId,
    run.sessionId,
    inputTokens,
    outputTokens,
    cachedInputTokens,
    cost,
    Number(isKept),
    Number(isEnd),
  ])
  const [message] = await sql<Message>(endMessage, [
    run.tenantId,
    run.assistantMessageId,
    reply.status,
    reply.finishReason,
    reply.text,
    JSON.stringify(reply.toolCalls),
    inputTokens,
    outputTokens,
    run.model,
    cost,
    cachedInputTokens,
  ])
  if (!session || !message) throw new Error(`The run ${run.id} has lost its session or its message.`)
  return { message, session }
}

const findMessages: Statement = {
  name: 'run-messages',
  text: 'SELECT m.id FROM messages m WHERE m.tenant_id = $1 AND (m.run_id = $2 OR m.id = $3)',
}

/** Takes a question and all that was answered to it out of the session, and the run with them. */
async function eraseTurn(sql: Sql, { tenantId, sessionId, id, userMessageId }: Run, session: Session) {
  const doomed = new Map<string, Doomed>()
  for (const message of await sql<{ id: string }>(findMessages, [tenantId, id, userMessageId]))
    for (const each of await messagesErasedWith(sql, tenantId, message.id)) doomed.set(each.id, each)
  const inOrder = [...doomed.values()].sort((a, b) => a.seq - b.seq)
  return eraseMessages(sql, { tenantId, sessionId }, inOrder, session)
}
