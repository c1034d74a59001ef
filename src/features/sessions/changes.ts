import type { Sql, TenantDatabase } from '../../db/client.ts'
import { createKeyedQueue } from '../../lib/async.ts'
import type { Feed, FeedEvent } from '../../realtime/feed.ts'

/** What a transaction did to a session, and the events that tell it. */
export type Change<Result> = { result: Result; events: readonly FeedEvent[] }

export type Changes = {
  /**
   * Runs a transaction that changes a session, and announces it once it is committed. Changes of one session are
   * announced in the order of their commits on this node.
   */
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
  announce(sessionId: string, events: readonly FeedEvent[]): Promise<void>
}

export function createChanges(feed: Feed): Changes {
  const inTurn = createKeyedQueue()

  const announced = <Result>(sessionId: string, commit: () => Promise<Change<Result>>) =>
    inTurn(sessionId, async () => {
      const { result, events } = await commit()
      await feed.publish(sessionId, events)
      return result
    })

  return {
    commit: (db, sessionId, work) => announced(sessionId, () => db.transaction(work)),
    commitStatement: (db, sessionId, work) => announced(sessionId, () => work(db.sql)),
    announce: (sessionId, events) => inTurn(sessionId, () => feed.publish(sessionId, events)),
  }
}
