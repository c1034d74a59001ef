import type { Database, Run } from '../../db/client.ts'
import { ValidationError } from '../../lib/errors.ts'
import type { Context } from '../context/service.ts'
import { RunLostError } from '../memory/store.ts'
import type { MemoryTools } from '../memory/tools.ts'
import type { Changes } from '../sessions/changes.ts'
import type { Claims } from './claims.ts'
import { isOpen } from './pausing.ts'
import { ownResult, resumeRun } from './resuming.ts'
import type { Claimed } from './rows.ts'
import type { PendingToolCall } from './settling.ts'

/** Calls of one reply that the server carries out; RUN_MAX_TOOL_ROUNDS bounds how many replies a run has. */
const maxOwnCalls = 10

/**
 * The calls with the results of those that the server carries out itself: nobody is asked for these. Null where the run
 * is another's meanwhile, or is to end.
 */
export async function withOwnResults(
  { database, memoryTools }: { database: Database; memoryTools: MemoryTools },
  run: Run,
  { tools, personId }: Context,
  pending: readonly PendingToolCall[],
): Promise<PendingToolCall[] | null> {
  const db = database.forTenant(run.tenantId)
  const place = { sessionId: run.sessionId, personId, run }
  const answered: PendingToolCall[] = []
  let calls = 0
  for (const call of pending) {
    const tool = tools.find(({ name }) => name === call.name)
    if (!tool || !memoryTools.isOwn(tool)) {
      answered.push(call)
      continue
    }
    calls += 1
    try {
      const result =
        calls > maxOwnCalls
          ? JSON.stringify({
              error: `No more than ${maxOwnCalls} calls of these tools are made in one reply.`,
            })
          : await memoryTools.call(db, place, call)
      answered.push({ ...call, result })
    } catch (error) {
      if (error instanceof RunLostError) return null
      throw error
    }
  }
  return answered
}

export const isAnswered = (pending: readonly PendingToolCall[]): boolean =>
  pending.length > 0 && !pending.some(isOpen)

/** Has a paused run go on whose calls are all answered. Null where somebody was first, or it is to be cancelled. */
export async function goOn(
  { database, changes, claims }: { database: Database; changes: Changes; claims: Claims },
  run: Run,
): Promise<Claimed | null> {
  const db = database.forTenant(run.tenantId)
  try {
    const { run: resumed, revision } = await changes.commit(db, run.sessionId, (sql) =>
      resumeRun(sql, claims, run, (pending) => pending.map(ownResult)),
    )
    return resumed.status === 'RUNNING' ? { run: resumed, revision } : null
  } catch (error) {
    if (error instanceof ValidationError) return null
    throw error
  }
}
