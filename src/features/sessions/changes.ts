import type { Sql, TenantDatabase } from '../../db/client.ts'
import { createKeyedQueue } from '../../lib/async.ts'
import type { Feed } from '../../realtime/feed.ts'
import type { ChangeEvent } from '../../realtime/feed-events.ts'
import type { ListChange, Listing } from '../../realtime/listing.ts'
import type { Rooms } from '../../realtime/presence-rooms.ts'
import type { Log } from '../../telemetry/log.ts'
import { leaveNotice } from './list-notices.ts'

/**
 * What a transaction did to a session, and the events that tell it. A transaction that raises the session's revision
 * raises it by one and has at least one event with it; of one that makes a session, `isNew` tells lists all there is.
 * `listed` is for lists alone: who begins to see the session, or does not see it any more although its row does not tell
 * that. A notice of it is stored in the same transaction, so that it reaches them even where its node dies then.
 */
export type Change<Result> = {
  result: Result
  events: readonly ChangeEvent[]
  isNew?: true
  listed?: Listed
}

/** `whose`: the user whose lists alone it is for. */
export type Listed = Pick<ListChange, 'shown' | 'hidden'> & { whose?: string }

type Committed = Omit<Change<0>, 'result' | 'listed'> & { listed?: Omit<ListChange, 'sessionId'> }

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
    work: (sql: Sql) => Promise<Omit<Change<Result>, 'listed'>>,
  ): Promise<Result>
  /** Whether anybody may be told of what changes in a session; if nobody, events of it need not say what. */
  isHeard(sessionId: string): boolean
  /** Announces what another session's transaction, committed already, did to this one. */
  announce(session: { tenantId: string; id: string }, events: readonly ChangeEvent[]): Promise<void>
  /** Tells lists alone of something that no feed tells, committed with the notice that is named in it. */
  list(session: { tenantId: string; id: string }, listed: Omit<ListChange, 'sessionId'>): void
}

type Dependencies = { feed: Feed; listing: Listing; rooms: Pick<Rooms, 'sent'>; log: Log }

export function createChanges({ feed, listing, rooms, log }: Dependencies): Changes {
  // Changes of one session wait here for each other, rather than each with a connection of the pool at the row's lock.
  const inTurn = createKeyedQueue()

  /** What is committed stays so: an announcement that fails is made good by the watch over lost changes. */
  async function publish(tenantId: string, sessionId: string, { events, isNew, listed }: Committed) {
    if (events.length > 0 || isNew || listed)
      listing.note(tenantId, { sessionId, ...(isNew && { shown: true }), ...listed })
    if (!feed.isHeard(sessionId)) return
    for (const author of authorsOf(events)) rooms.sent({ tenantId, sessionId }, author)
    try {
      await feed.publish(sessionId, events)
    } catch (error) {
      log.debug({ err: error, sessionId }, 'a change could not be announced')
    }
  }

  async function withNotice<Result>(
    sql: Sql,
    tenantId: string,
    { listed, ...change }: Change<Result>,
  ): Promise<Committed & { result: Result }> {
    if (!listed) return change
    const { whose = null, ...told } = listed
    const notice = await leaveNotice(sql, { tenantId, userId: whose })
    return { ...change, listed: { ...told, notices: [notice] } }
  }

  async function announced<Result>(
    { tenantId }: TenantDatabase,
    sessionId: string,
    commit: () => Promise<Committed & { result: Result }>,
  ) {
    const { result, ...change } = await inTurn(sessionId, commit)
    await publish(tenantId, sessionId, change)
    return result
  }

  return {
    commit: (db, sessionId, work) =>
      announced(db, sessionId, () =>
        db.transaction(async (sql) => withNotice(sql, db.tenantId, await work(sql))),
      ),
    commitStatement: (db, sessionId, work) => announced(db, sessionId, () => work(db.sql)),
    isHeard: feed.isHeard,
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
