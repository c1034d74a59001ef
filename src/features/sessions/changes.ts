import type { Sql, TenantDatabase } from '../../db/client.ts'
import { createKeyedQueue } from '../../lib/async.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import type { Log } from '../../telemetry/log.ts'

/**
 * What a transaction did to a session, and the events that tell it. A transaction that raises the session's revision
 * raises it by one and has at least one event with it.
 */
export type Change<Result> = { result: Result; events: readonly ChangeEvent[] }

export type Changes = {
  /** Runs a transaction that changes a session, and announces it once it is committed. */
  commit<Result>(
    db: TenantDatabase,
    sessionId: string,
    work: (sql: Sql) => Promise<Change<Result>>,
  ): Promise<Result>
  /** The same for work that is one statement, and so a transaction by itself: it saves two round trips. */
  commitStatement<Result>(
    db: TenantDatabase,
    sessionId: string,
    work: (sql: Sql) => Promise<Change<Result>>,
  ): Promise<Result>
  /** Announces what another session's transaction, committed already, did to this one. */
  announce(sessionId: string, events: readonly ChangeEvent[]): Promise<void>
}

export function createChanges({ feed, log }: { feed: Feed; log: Log }): Changes {
  // Changes of one session wait here for each other, rather than each with a connection of the pool at the row's lock.
  const inTurn = createKeyedQueue()

  /** What is committed stays so: an announcement that fails is made good by the watch over lost changes. */
  async function announce(sessionId: string, events: readonly ChangeEvent[]) {
    try {
      await feed.publish(sessionId, events)
    } catch (error) {
      log.debug({ err: error, sessionId }, 'a change could not be announced')
    }
  }

  async function announced<Result>(sessionId: string, commit: () => Promise<Change<Result>>) {
    const { result, events } = await inTurn(sessionId, commit)
    await announce(sessionId, events)
    return result
  }

  return {
    commit: (db, sessionId, work) => announced(sessionId, () => db.transaction(work)),
    commitStatement: (db, sessionId, work) => announced(sessionId, () => work(db.sql)),
    announce,
  }
}
