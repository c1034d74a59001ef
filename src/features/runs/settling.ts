import type { Message, Run, Session, Statement, Step } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import type { ModelUsage, ToolCall } from '../../llm/provider.ts'
import { countDay } from '../quotas/counting.ts'

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

/**
 * A call whose result the run waits for; `id` is the model's, and the one that the result names. With `result` the server
 * has carried it out itself.
 */
export type PendingToolCall = ToolCall & { requiresApproval: boolean; result?: string }

/** How a reply ends, and its run with it, or waits. */
export type Settling = {
  /** The states that the run may be in. */
  from: readonly Run['status'][]
  /** That of the run from then on. */
  status: Run['status']
  reply: Omit<Ending, 'status'> & { status: Message['status'] }
  /** False for a run whose question is taken back, and only for that: the removal raises the session's revision. */
  isKept: boolean
  /** What a run that is to go on waits for, and how long. */
  pause?: { pending: readonly PendingToolCall[]; timeoutMs: number }
}

export type Settled = { run: Run; message: Message; session: Session }

const [runPrefix, messagePrefix, sessionPrefix] = ['run.', 'message.', 'session.'] as const

// `attempt` is the fence: whoever lost the run to a sweep or to another node changes nothing any more. The session's row
// is locked first, as by all who change a session and its runs: two that took them in other orders would block. What a
// paused reply holds already is its own; a run that is ended then adds nothing to it. The ledger has what was used when
// the session, its messages and the run are gone.
const settleRun: Statement = {
  name: 'run-settle',
  text: `WITH place AS MATERIALIZED (
      SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.id = $4 FOR NO KEY UPDATE
    ), r AS (
      UPDATE runs r SET status = $6::"RunStatus", error_code = $7, error_message = $8,
        input_tokens = input_tokens + $9, output_tokens = output_tokens + $10,
        cached_input_tokens = cached_input_tokens + $11, cost = cost + coalesce($12::numeric, 0),
        first_token_at = coalesce(r.first_token_at, statement_timestamp() - $13 * interval '1 ms'),
        finished_at = CASE WHEN $19::jsonb IS NULL THEN clock_timestamp() END, updated_at = clock_timestamp(),
        node_id = CASE WHEN $19::jsonb IS NULL THEN r.node_id END, lease_until = NULL,
        pending_tool_calls = coalesce($19::jsonb, '[]'),
        action_expires_at = clock_timestamp() + $20 * interval '1 ms'
      FROM place WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status::text = ANY($5)
        AND r.is_rolled_back <> $18 AND ($19::jsonb IS NULL OR r.cancel_requested_at IS NULL)
      RETURNING r.*
    ), s AS (
      UPDATE sessions s SET revision = s.revision + $18::boolean::int, input_tokens = s.input_tokens + $9,
        output_tokens = s.output_tokens + $10, cached_input_tokens = s.cached_input_tokens + $11,
        cost = s.cost + coalesce($12::numeric, 0), run_count = s.run_count + ($19::jsonb IS NULL)::int,
        last_message_at = clock_timestamp(), updated_at = clock_timestamp()
      FROM r WHERE s.tenant_id = r.tenant_id AND s.id = r.session_id RETURNING s.*
    ), m AS (
      UPDATE messages m SET status = $14::"MessageStatus", finish_reason = $15::"FinishReason",
        content = coalesce($16, m.content), model = r.model,
        tool_calls = CASE WHEN m.tool_calls = '[]' THEN $17::jsonb ELSE m.tool_calls END,
        input_tokens = coalesce(m.input_tokens, $9), output_tokens = coalesce(m.output_tokens, $10),
        cached_input_tokens = coalesce(m.cached_input_tokens, $11), cost = coalesce(m.cost, $12::numeric),
        updated_at = clock_timestamp()
      FROM r WHERE m.tenant_id = r.tenant_id AND m.id = r.assistant_message_id RETURNING m.*
    ), ledger AS (
      INSERT INTO usage_records (tenant_id, run_id, user_id, session_id, agent_id, model, status, input_tokens,
        output_tokens, cached_input_tokens, cost, time_to_first_token_ms, created_at)
      SELECT r.tenant_id, r.id, r.user_id, CASE WHEN NOT s.is_stateless THEN s.id END, m.agent_id, r.model, r.status,
        r.input_tokens, r.output_tokens, r.cached_input_tokens, r.cost,
        round(extract(epoch FROM r.first_token_at - r.queued_at) * 1000), r.finished_at
      FROM r, s, m WHERE r.finished_at IS NOT NULL
    ), day AS (
      ${countDay({ tenantId: '$1', userId: 'r.user_id', tokens: '$9::int + $10::int', cost: '$12', from: 'r,' })}
    )
    SELECT ${columnsOf('Run', 'r', runPrefix)}, ${columnsOf('Message', 'm', messagePrefix)},
      ${columnsOf('Session', 's', sessionPrefix)} FROM r, s, m`,
}

/** Settles a run with its reply, session, ledger and the day of its user by one statement; null where it is not to be. */
export function settlingRun(
  run: Pick<Run, 'tenantId' | 'id' | 'attempt' | 'sessionId'>,
  { from, status, reply, isKept, pause }: Settling,
): Step<Settled | null> {
  const { usage, cost, error } = reply
  const values = [
    ...[run.tenantId, run.id, run.attempt, run.sessionId, from, status],
    ...[error?.code ?? null, error?.message ?? null],
    ...[usage.inputTokens, usage.outputTokens, usage.cachedInputTokens, cost],
    ...[reply.sinceFirstTokenMs ?? null, reply.status, reply.finishReason, reply.text],
    ...[JSON.stringify(reply.toolCalls), isKept],
    ...[pause ? JSON.stringify(pause.pending) : null, pause?.timeoutMs ?? null],
  ]
  return {
    statement: settleRun,
    values,
    read([row]: Record<string, unknown>[]) {
      if (!row) return null
      const [run, message, session] = [runPrefix, messagePrefix, sessionPrefix].map((prefix) =>
        part(row, prefix),
      )
      return { run, message, session } as unknown as Settled
    },
  }
}

/** The columns of one table in a row of several. */
function part(row: Record<string, unknown>, prefix: string): Record<string, unknown> {
  const own: Record<string, unknown> = {}
  for (const name in row) if (name.startsWith(prefix)) own[name.slice(prefix.length)] = row[name]
  return own
}
