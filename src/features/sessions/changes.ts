import type { Sql, TenantDatabase } from '../../db/client.ts'
import { createKeyedQueue } from '../../lib/async.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import type { ListChange, Listing } from '../../realtime/listing.ts'
import type { Rooms } from '../../realtime/presence-rooms.ts'
import type { Log } from '../../telemetry/log.ts'

/**
 * What a transaction did to a session, and the events that tell it. A transaction that raises the session's revision
 * raises it by one and has at least one event with it. `listed` is for lists: who begins to see the session, or does not
 * see it any more although its row does not tell that.
 */
export type Change<Result> = { result: Result; events: readonly ChangeEvent[]; listed?: Listed }

export type Listed = Omit<ListChange, 'sessionId'>

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
  announce(session: { tenantId: string; id: string }, events: readonly ChangeEvent[]): Promise<void>
  /** Tells lists alone of something committed that no feed tells. */
  list(session: { tenantId: string; id: string }, listed: Listed): void
}

type Dependencies = { feed: Feed; listing: Listing; rooms: Pick<Rooms, 'type'>; log: Log }

export function createChanges({ feed, listing, rooms, log }: Dependencies): Changes {
  // Changes of one session wait here for each other, rather than each with a connection of the pool at the row's lock.
  const inTurn = createKeyedQueue()

  /** What is committed stays so: an announcement that fails is made good by the watch over lost changes. */
  async function publish(tenantId: string, sessionId: string, { events, listed }: Omit<Change<0>, 'result'>) {
    if (events.length > 0 || listed) listing.note(tenantId, { sessionId, ...listed })
    for (const author of authorsOf(events)) rooms.type({ tenantId, sessionId }, author, false)
    try {
      await feed.publish(sessionId, events)
    } catch (error) {
      log.debug({ err: error, sessionId }, 'a change could not be announced')
    }
  }

  async function announced<Result>(
    { tenantId }: TenantDatabase,
    sessionId: string,
    commit: () => Promise<Change<Result>>,
  ) {
    const { result, ...change } = await inTurn(sessionId, commit)
    await publish(tenantId, sessionId, change)
    return result
  }

  return {
    commit: (db, sessionId, work) => announced(db, sessionId, () => db.transaction(work)),
    commitStatement: (db, sessionId, work) => announced(db, sessionId, () => work(db.sql)),
    announce: ({ tenantId, id }, events) => publish(tenantId, id, { events }),
    list: ({ tenantId, id }, listed) => listing.note(tenantId, { sessionId: id, ...listed }),
  }
}

/** Who has sent a message: that ends their typing. */
const authorsOf = (events: readonly ChangeEvent[]): Set<string> =>
  new Set(
    events.flatMap((event) => {
      if (event.type !== 'MessageAdded' || event.message.role !== 'USER') return []
      return typeof event.message.authorId === 'string' ? event.message.authorId : []
    }),
  )
