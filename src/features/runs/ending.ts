import type { Run, Session, Sql, Statement, TenantDatabase } from '../../db/client.ts'
import { runStep } from '../../db/steps.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import { messageUpdated } from '../messages/append.ts'
import { type Doomed, eraseMessages, messagesErasedWith } from '../messages/removal.ts'
import type { Changes } from '../sessions/changes.ts'
import { changedUnseen, sessionUpdated } from '../sessions/rows.ts'
import { lookForWaiting } from './room.ts'
import { runFinished } from './rows.ts'
import { type Ending, type Settled, type Settling, settlingRun } from './settling.ts'

const messageStatus = {
  COMPLETED: 'COMPLETE',
  FAILED: 'FAILED',
  CANCELLED: 'CANCELLED',
  INTERRUPTED: 'INTERRUPTED',
} as const

/** `mayWait`: another run of the tenant waits, which may have its turn now. */
export type Ended = { run: Run; mayWait: boolean }

/**
 * Ends a run (text, status, usage, counters) by one statement and tells it. Null where it had ended before or belongs to
 * another attempt: exactly one caller ends a run. `from` names the states that it may be in.
 */
export async function endRunOnce(
  changes: Changes,
  db: TenantDatabase,
  run: Run,
  from: readonly Run['status'][],
  ending: Ending,
): Promise<Ended | null> {
  const settling = { from, status: ending.status, reply: { ...ending, status: messageStatus[ending.status] } }
  const kept = await changes.commitStatement<Ended | null>(db, run.sessionId, async (sql) => {
    const [settled, , mayWait] = await sql.pipeline([
      settlingRun(run, { ...settling, isKept: true }),
      ...lookForWaiting(run.tenantId),
    ])
    return settled
      ? { result: { run: settled.run, mayWait }, events: eventsOf(settled) }
      : { result: null, events: [] }
  })
  return kept ?? takeBack(changes, db, run, { ...settling, isKept: false })
}

/** The same for a run whose question is taken back: both leave with what was answered, and the ledger keeps the usage. */
function takeBack(changes: Changes, db: TenantDatabase, run: Run, settling: Settling): Promise<Ended | null> {
  return changes.commit<Ended | null>(db, run.sessionId, async (sql) => {
    const settled = await runStep(sql, settlingRun(run, settling))
    if (!settled) return { result: null, events: [] }
    const removed = await eraseTurn(sql, settled.run, settled.session)
    const [, mayWait] = await sql.pipeline(lookForWaiting(run.tenantId))
    return {
      result: { run: settled.run, mayWait },
      events:
        settled.session.deletedAt === null
          ? [runFinished(settled.run, removed.session), ...removed.events]
          : [changedUnseen(removed.session)],
    }
  })
}

/** Telling the changes of a deleted session would bring it back to sidebars. */
const eventsOf = ({ run, message, session }: Settled): ChangeEvent[] =>
  session.deletedAt === null
    ? [messageUpdated(message, session), runFinished(run, session), sessionUpdated(session)]
    : [changedUnseen(session)]

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
