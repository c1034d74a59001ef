import type { Run, TenantDatabase } from '../../db/client.ts'
import { runStep } from '../../db/steps.ts'
import type { AgentTool } from '../agents/checks.ts'
import { messageUpdated } from '../messages/append.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionUpdated } from '../sessions/rows.ts'
import { runRequiresAction } from './rows.ts'
import { type Ending, type PendingToolCall, settlingRun } from './settling.ts'

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

/**
 * Ends a reply that calls tools and lets go of its run, which keeps its session's turn until the results are there, or
 * the time for them is over. Null where the run was to be cancelled, had ended or belongs to another attempt.
 */
export function pauseRunOnce(
  changes: Changes,
  db: TenantDatabase,
  run: Run,
  reply: Ending,
  pause: { pending: readonly PendingToolCall[]; timeoutMs: number },
): Promise<Run | null> {
  return changes.commitStatement<Run | null>(db, run.sessionId, async (sql) => {
    const settled = await runStep(
      sql,
      settlingRun(run, {
        from: ['RUNNING'],
        status: 'REQUIRES_ACTION',
        reply: { ...reply, status: 'COMPLETE' },
        isKept: true,
        pause,
      }),
    )
    if (!settled) return { result: null, events: [] }
    const { run: paused, message, session } = settled
    const events = [
      messageUpdated(message, session),
      // Where the server has all results itself, nobody has anything to do.
      ...(pause.pending.some(isOpen) ? [runRequiresAction(paused, session)] : []),
      sessionUpdated(session),
    ]
    return { result: paused, events: session.deletedAt === null ? events : [changedUnseen(session)] }
  })
}
