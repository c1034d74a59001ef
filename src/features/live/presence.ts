import { randomUUID } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { Viewer } from '../../auth/viewer.ts'
import type { Session, Statement, SystemDatabase, User } from '../../db/client.ts'
import { columnsOf } from '../../db/columns.ts'
import { createBatch } from '../../lib/batch.ts'
import type { Feed } from '../../realtime/feed.ts'
import { type FeedEvent, type PresenceEvent, toWire, type WireRow } from '../../realtime/feed-events.ts'
import type { Activity, PresenceStore } from '../../realtime/presence.ts'
import { createRooms, type Rooms, type Telling } from '../../realtime/presence-rooms.ts'
import type { Log } from '../../telemetry/log.ts'
import type { Sessions } from '../sessions/service.ts'

/** Who has a session open, and who is typing in it. Nothing of it is stored. */
export type Presence = {
  /** The feed told this: a message that was sent through whatever node ends the typing of its author. */
  heard(tenantId: string, sessionId: string, event: FeedEvent): void
  /** The viewer looks at the session, until it leaves as often as it entered. */
  enter(viewer: Viewer, sessionId: string): void
  leave(viewer: Viewer, sessionId: string): void
  /** Tells that the viewer types, until it says otherwise, sends a message or says nothing more of it for some seconds. */
  setTyping(viewer: Viewer, input: { sessionId: string; isTyping: boolean }): Promise<Session>
  /**
   * Who is present, or types, the first 100 of them; nobody where the store is away. For many sessions at once, it is one
   * look and one statement.
   */
  usersOf(viewer: Viewer, session: Session, activity: Activity): Promise<User[]>
  /** How many are present. */
  countOf(viewer: Viewer, session: Session): Promise<number>
}

type Here = Readonly<Record<Activity, User[]>> & { presentCount: number }

/** As many as can take part: what is told of a session to each of its readers is bounded. */
const namedAtMost = 100

type Dependencies = { rooms: Rooms; store: PresenceStore; sessions: Sessions; log: Log }

export function createPresence({ rooms, store, sessions, log }: Dependencies): Presence {
  const here = createBatch<Viewer, string, Here>(async ({ db, tenantId }, sessionIds) => {
    // Where nobody can say who is there, sessions are to be read all the same.
    const occupants = await store.read(sessionIds).catch((error: unknown) => {
      log.debug({ err: error }, 'it could not be read who is present')
      return []
    })
    const named = occupants.map(({ present, typing }) => ({
      present: present.slice(0, namedAtMost),
      typing: typing.slice(0, namedAtMost),
    }))
    const ids = new Set(named.flatMap(({ present, typing }) => [...present, ...typing]))
    const where = { tenantId, id: { in: [...ids] } }
    const rows = ids.size > 0 ? await db.prisma.user.findMany({ where }) : []
    const users = new Map(rows.map((user) => [user.id, user]))
    const known = (userIds: readonly string[] = []) => userIds.flatMap((id) => users.get(id) ?? [])
    return new Map(
      sessionIds.map((sessionId, index) => {
        const found = named[index]
        const presentCount = occupants[index]?.present.length ?? 0
        return [sessionId, { present: known(found?.present), typing: known(found?.typing), presentCount }]
      }),
    )
  })

  return {
    heard(tenantId, sessionId, event) {
      if (event.type === 'TypingChanged') {
        const typing = event.users.map(({ id }) => id)
        rooms.heard({ tenantId, sessionId }, typing)
      } else if (event.type === 'MessageAdded') {
        const { role, authorId } = event.message
        if (role === 'USER' && typeof authorId === 'string') rooms.sent({ tenantId, sessionId }, authorId)
      }
    },
    enter: ({ tenantId, userId }, sessionId) => rooms.enter({ tenantId, sessionId }, userId),
    leave: ({ tenantId, userId }, sessionId) => rooms.leave({ tenantId, sessionId }, userId),
    async setTyping(viewer, { sessionId, isTyping }) {
      const session = await sessions.require(viewer, sessionId, 'EDITOR')
      rooms.type({ tenantId: viewer.tenantId, sessionId }, viewer.userId, isTyping)
      return session
    },
    usersOf: async (viewer, { id }, activity) => (await here(viewer, id))?.[activity] ?? [],
    countOf: async (viewer, { id }) => (await here(viewer, id))?.presentCount ?? 0,
  }
}

const findUsers: Statement = {
  name: 'presence-users',
  text: `SELECT ${columnsOf('User', 'u')} FROM unnest($1::uuid[], $2::uuid[]) AS wanted (tenant_id, id)
    JOIN users u ON u.tenant_id = wanted.tenant_id AND u.id = wanted.id`,
}

const eventTypes = { present: 'PresenceChanged', typing: 'TypingChanged' } as const satisfies Record<
  Activity,
  PresenceEvent['type']
>

type RoomDependencies = { store: PresenceStore; feed: Feed; system: SystemDatabase; log: Log }

/** The part of this node in it all, which tells the feeds of the sessions. */
export const createPresenceRooms = ({ store, feed, system, log }: RoomDependencies): Rooms =>
  createRooms({
    store,
    nodeId: randomUUID(),
    tell: createTelling({ feed, system, log }),
    onFailure: (error) => log.debug({ err: error }, 'it could not be settled who is present'),
  })

/** Rows that are the same in many events of a log stand there once. */
const sharedRows = 5_000

function createTelling({ feed, system, log }: Omit<RoomDependencies, 'store'>) {
  const shared = new LRUCache<string, WireRow>({ max: sharedRows })

  function rowOf(user: User): WireRow {
    const text = JSON.stringify(user)
    const row = shared.get(text) ?? toWire(user)
    shared.set(text, row)
    return row
  }

  async function findRows(tellings: readonly Telling[]): Promise<ReadonlyMap<string, WireRow>> {
    const tenants = new Map(
      tellings.flatMap(({ tenantId, userIds }) =>
        userIds.slice(0, namedAtMost).map((id) => [id, tenantId] as const),
      ),
    )
    if (tenants.size === 0) return new Map()
    const rows = await system.sql<User>(findUsers, [[...tenants.values()], [...tenants.keys()]])
    return new Map(rows.map((user) => [user.id, rowOf(user)]))
  }

  return async (tellings: readonly Telling[]): Promise<boolean[]> => {
    const rows = await findRows(tellings).catch((error: unknown) => {
      log.debug({ err: error }, 'those who are present could not be read')
      return null
    })
    if (!rows) return tellings.map(() => false)
    return Promise.all(
      tellings.map(async ({ sessionId, activity, userIds, version }) => {
        const users = userIds.slice(0, namedAtMost).flatMap((id) => rows.get(id) ?? [])
        try {
          await feed.show(sessionId, { type: eventTypes[activity], users, count: userIds.length }, version)
          return true
        } catch (error) {
          log.debug({ err: error, sessionId }, 'it could not be told who is present')
          return false
        }
      }),
    )
  }
}
