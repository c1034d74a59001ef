import type { Message, Run, Session, Sql, Statement, TenantDatabase } from '../../db/client.ts'
import { costOf } from '../../llm/prices.ts'
import type { ModelUsage, ToolCall } from '../../llm/provider.ts'
import { messageColumns, messageUpdated } from '../messages/append.ts'
import type { Change, Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionColumns, sessionUpdated } from '../sessions/rows.ts'
import { runColumns, runFinished } from './rows.ts'

/** How a run ended. `text` null leaves what the last checkpoint stored. */
export type Ending = {
  status: 'COMPLETED' | 'FAILED' | 'CANCELLED' | 'INTERRUPTED'
  finishReason: NonNullable<Message['finishReason']>
  text: string | null
  toolCalls: readonly ToolCall[]
  usage: ModelUsage
  error: { code: string; message: string } | null
  /** Milliseconds from the claim to the first word. */
  firstTokenAfterMs?: number | null
}

export const noUsage: ModelUsage = { inputTokens: 0, outputTokens: 0, cachedInputTokens: 0 }

// `attempt` is the fence: whoever lost the run to a sweep or to another node changes nothing any more.
const endRun: Statement = {
  name: 'run-end',
  text: `UPDATE runs r SET status = $5::"RunStatus", error_code = $6, error_message = $7, input_tokens = $8,
      output_tokens = $9, cached_input_tokens = $10, finished_at = clock_timestamp(), updated_at = clock_timestamp(),
      first_token_at = coalesce(r.first_token_at, r.started_at + $11 * interval '1 ms'), lease_until = NULL,
      cost = coalesce($12::numeric, 0)
    WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status::text = ANY($4) RETURNING ${runColumns}`,
}

const endMessage: Statement = {
  name: 'message-end',
  text: `UPDATE messages m SET status = $3::"MessageStatus", finish_reason = $4::"FinishReason",
      content = coalesce($5, content), tool_calls = $6, input_tokens = $7, output_tokens = $8, model = $9,
      cost = $10, updated_at = clock_timestamp()
    WHERE m.tenant_id = $1 AND m.id = $2 RETURNING ${messageColumns}`,
}

const countUsage: Statement = {
  name: 'session-count-usage',
  text: `UPDATE sessions s SET revision = revision + 1, input_tokens = input_tokens + $3,
      output_tokens = output_tokens + $4, cached_input_tokens = cached_input_tokens + $5,
      cost = cost + coalesce($6::numeric, 0), run_count = run_count + 1,
      last_message_at = clock_timestamp(), updated_at = clock_timestamp()
    WHERE s.tenant_id = $1 AND s.id = $2 RETURNING ${sessionColumns}`,
}

// The ledger: what was used is still known when the session, its messages and the run are gone.
const recordUsage: Statement = {
  name: 'usage-record',
  text: `INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
      output_tokens, cached_input_tokens, cost, time_to_first_token_ms, created_at)
    SELECT r.tenant_id, r.id, r.user_id, r.session_id, $3, r.model, r.status, r.input_tokens, r.output_tokens,
      r.cached_input_tokens, r.cost, round(extract(epoch FROM r.first_token_at - r.queued_at) * 1000), r.finished_at
    FROM runs r WHERE r.tenant_id = $1 AND r.id = $2`,
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
  return changes.commit(db, run.sessionId, async (sql) => {
    const ended = await storeRunEnd(sql, run, from, ending)
    return ended ? storeReplyEnd(sql, ended, ending) : { result: null, events: [] }
  })
}

async function storeRunEnd(
  sql: Sql,
  run: Run,
  from: readonly Run['status'][],
  { status, error, usage, firstTokenAfterMs }: Ending,
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
    firstTokenAfterMs ?? null,
    costOf(run.model, usage),
  ])
  return ended
}

async function storeReplyEnd(sql: Sql, run: Run, ending: Ending): Promise<Change<Run | null>> {
  const { inputTokens, outputTokens, cachedInputTokens } = ending.usage
  const cost = costOf(run.model, ending.usage)
  const [session] = await sql<Session>(countUsage, [
    run.tenantId,
    run.sessionId,
    inputTokens,
    outputTokens,
    cachedInputTokens,
    cost,
  ])
  const [message] = await sql<Message>(endMessage, [
    run.tenantId,
    run.assistantMessageId,
    messageStatus[ending.status],
    ending.finishReason,
    ending.text,
    JSON.stringify(ending.toolCalls),
    inputTokens,
    outputTokens,
    run.model,
    cost,
  ])
  if (!session || !message) throw new Error(`The run ${run.id} has lost its session or its message.`)
  await sql(recordUsage, [run.tenantId, run.id, message.agentId])
  const events = [messageUpdated(message, session), runFinished(run, session), sessionUpdated(session)]
  // Telling the changes of a deleted session would bring it back to sidebars.
  return { result: run, events: session.deletedAt === null ? events : [changedUnseen(session)] }
}
