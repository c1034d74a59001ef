import type { Run, Statement, TenantDatabase } from '../../db/client.ts'
import type { ToolCall } from '../../llm/provider.ts'
import type { AgentTool } from '../agents/checks.ts'
import { messageUpdated } from '../messages/append.ts'
import { countUsed } from '../quotas/counting.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionUpdated } from '../sessions/rows.ts'
import { type Ending, storeReplyEnd } from './ending.ts'
import { runColumns, runRequiresAction } from './rows.ts'

/**
 * A call whose result the run waits for; `id` is the model's, and the one that the result names. With `result` the server
 * has carried it out itself.
 */
export type PendingToolCall = ToolCall & { requiresApproval: boolean; result?: string }

/** Whether somebody is still to give its result. */
export const isOpen = ({ result }: PendingToolCall): boolean => result === undefined

/** The calls of a reply that ends with them, as far as they are of tools that the model was offered. */
export function pendingCalls(reply: Ending, tools: readonly AgentTool[]): PendingToolCall[] {
  if (reply.status !== 'COMPLETED' || reply.finishReason !== 'TOOL_CALLS') return []
  return reply.toolCalls.flatMap((call) => {
    const tool = tools.find(({ name }) => name === call.name)
    return tool ? [{ ...call, requiresApproval: tool.requiresApproval }] : []
  })
}

const pauseRun: Statement = {
  name: 'run-pause',
  text: `WITH place AS MATERIALIZED (
      SELECT s.id FROM sessions s WHERE s.tenant_id = $1 AND s.id = $11 FOR NO KEY UPDATE)
    UPDATE runs r SET status = 'REQUIRES_ACTION', node_id = NULL, lease_until = NULL, pending_tool_calls = $4,
      action_expires_at = clock_timestamp() + $5 * interval '1 ms', input_tokens = input_tokens + $6,
      output_tokens = output_tokens + $7, cached_input_tokens = cached_input_tokens + $8,
      cost = cost + coalesce($9::numeric, 0), updated_at = clock_timestamp(),
      first_token_at = coalesce(r.first_token_at, statement_timestamp() - $10 * interval '1 ms')
    FROM place WHERE r.tenant_id = $1 AND r.id = $2 AND r.attempt = $3 AND r.status = 'RUNNING'
      AND r.cancel_requested_at IS NULL
    RETURNING ${runColumns}`,
}

/**
 * Ends a reply that calls tools and lets go of its run, which keeps its session's turn until the results are there, or
 * the time for them is over. Null where the run was to be cancelled, had ended or belongs to another attempt.
 */
export function pauseRunOnce(
  changes: Changes,
  db: TenantDatabase,
  run: Run,
  reply: Ending,
  { pending, timeoutMs }: { pending: readonly PendingToolCall[]; timeoutMs: number },
): Promise<Run | null> {
  return changes.commit<Run | null>(db, run.sessionId, async (sql) => {
    const { inputTokens, outputTokens, cachedInputTokens } = reply.usage
    const [paused] = await sql<Run>(pauseRun, [
      run.tenantId,
      run.id,
      run.attempt,
      JSON.stringify(pending),
      timeoutMs,
      inputTokens,
      outputTokens,
      cachedInputTokens,
      reply.cost,
      reply.sinceFirstTokenMs ?? null,
      run.sessionId,
    ])
    if (!paused) return { result: null, events: [] }
    const ended = { ...reply, status: 'COMPLETE' } as const
    const { message, session } = await storeReplyEnd(sql, paused, ended, { isEnd: false, isKept: true })
    await countUsed(sql, paused, reply)
    const events = [
      messageUpdated(message, session),
      // Where the server has all results itself, nobody has anything to do.
      ...(pending.some(isOpen) ? [runRequiresAction(paused, session)] : []),
      sessionUpdated(session),
    ]
    return { result: paused, events: session.deletedAt === null ? events : [changedUnseen(session)] }
  })
}
