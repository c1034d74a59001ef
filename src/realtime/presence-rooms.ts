import { type Activity, activities, type Lease, type PresenceStore, type Standing } from './presence.ts'

/**
 * What this node has to say of who is present and who types: it holds the leases of those who are here, finds those of
 * others that ended, and tells every change that it learns of, in batches. A change is told by all who learn of it, once:
 * the feed takes each version only the first time. So a change is told although the node that caused it died with it.
 */
export type Rooms = {
  /** The user looks at the session, until the function that this gives is called; leaving takes effect after a grace. */
  enter(place: RoomName, userId: string): () => void
  /** The user types, for some seconds; or does not any more. */
  type(place: RoomName, userId: string, isTyping: boolean): void
  /**
   * The user has sent a message, through whatever node, and so types no more. Nothing is asked where it is not known to
   * type, as mostly.
   */
  sent(place: RoomName, userId: string): void
  /** The feed tells who types, of which this node has to end what it sees end. */
  heard(place: RoomName, typing: readonly string[]): void
  /** How many sessions have anything to be renewed, ended or told here. */
  size(): number
  start(): void
  /** Leaves those who are here a grace to appear at another node. */
  stop(): Promise<void>
}

export type RoomName = { readonly tenantId: string; readonly sessionId: string }

export type Telling = RoomName & {
  readonly activity: Activity
  readonly userIds: readonly string[]
  readonly version: number
}

/** All in milliseconds. */
export type RoomTimes = {
  /** Of a user who is present; a node that dies is noticed at the end of it. */
  leaseMs: number
  renewMs: number
  /** A page that is loaded anew is back within this. */
  graceMs: number
  /** Of a user who types, unless it says so again. */
  typingMs: number
  /** Saying so again within this changes nothing. */
  typingAgainMs: number
  /** Between two tellings of who is present in a room of many. */
  manyApartMs: number
}

export const roomTimes: RoomTimes = {
  leaseMs: 20_000,
  renewMs: 8_000,
  graceMs: 3_000,
  typingMs: 6_000,
  typingAgainMs: 2_000,
  manyApartMs: 1_000,
}

/** More in one room, and each coming and going is not told by itself: it would cost the square of how many they are. */
const few = 20

type Room = RoomName & {
  /** How many subscriptions each has here. */
  readonly users: Map<string, number>
  /** Who has none left, and until when its lease is kept. */
  readonly leaving: Map<string, number>
  /** What the next exchange asks for beyond renewals: of each activity of a user the last that was asked. */
  readonly asked: Map<string, Lease>
  readonly typedAtMs: Map<string, number>
  /** Who types, as far as it is known here. */
  typing: readonly string[]
  readonly told: Record<Activity, number>
  /** When it was told last who is present. */
  presentToldAtMs: number
  dueAtMs: number
}

type Options = {
  store: PresenceStore
  nodeId: string
  /** Tells changes to the feeds; gives for each whether it is told now, by whomever. Never rejects. */
  tell(tellings: readonly Telling[]): Promise<boolean[]>
  onFailure(error: unknown): void
  times?: RoomTimes
}

const tickMs = 250
const retryMs = 1_000
const roomsPerExchange = 200

export function createRooms({ store, nodeId, tell, onFailure, times = roomTimes }: Options): Rooms {
  const rooms = new Map<string, Room>()
  let ticking: NodeJS.Timeout | undefined
  let working: Promise<void> | undefined
  let isWoken = false

  const present = (userId: string, ttlMs: number): Lease => ({
    activity: 'present',
    userId,
    holder: nodeId,
    ttlMs,
  })

  const open = ({ tenantId, sessionId }: RoomName): Room => {
    const known = rooms.get(sessionId)
    if (known) return known
    const room: Room = {
      ...{
        tenantId,
        sessionId,
        users: new Map(),
        leaving: new Map(),
        asked: new Map(),
        typedAtMs: new Map(),
      },
      typing: nobody,
      told: { present: 0, typing: 0 },
      presentToldAtMs: Number.NEGATIVE_INFINITY,
      dueAtMs: Number.POSITIVE_INFINITY,
    }
    rooms.set(sessionId, room)
    return room
  }

  const due = (room: Room, atMs: number) => {
    room.dueAtMs = Math.min(room.dueAtMs, atMs)
  }

  /** What comes in within one turn goes out together. */
  const wake = () => {
    if (isWoken) return
    isWoken = true
    setImmediate(() => {
      isWoken = false
      work()
    })
  }

  const work = () => {
    working ??= exchangeDue().finally(() => {
      working = undefined
    })
  }

  async function exchangeDue() {
    for (;;) {
      const now = performance.now()
      const batch: Room[] = []
      for (const room of rooms.values())
        if (room.dueAtMs <= now && batch.push(room) === roomsPerExchange) break
      if (batch.length === 0) return
      await exchange(batch, now)
    }
  }

  async function exchange(batch: readonly Room[], now: number) {
    const asked = batch.map((room) => takeAsked(room, now))
    for (const room of batch) room.dueAtMs = Number.POSITIVE_INFINITY
    try {
      const updates = batch.map((room, index) => ({
        place: room.sessionId,
        leases: [
          ...(asked[index] ?? []),
          ...[...room.users.keys(), ...room.leaving.keys()].map((id) => present(id, times.leaseMs)),
        ],
      }))
      const standings = await store.exchange(updates)
      const tellings = batch.map((room, index) => newsOf(room, standings[index]).filter(isDueIn(room, now)))
      const flat = tellings.flat()
      const isTold = flat.length > 0 ? await tell(flat) : []
      for (const [index, { sessionId, activity, version }] of flat.entries()) {
        const room = rooms.get(sessionId)
        if (!room || !isTold[index]) continue
        room.told[activity] = version
        if (activity === 'present') room.presentToldAtMs = now
      }
      for (const [index, room] of batch.entries()) settle(room, standings[index])
    } catch (error) {
      onFailure(error)
      for (const [index, room] of batch.entries()) {
        for (const lease of asked[index] ?? []) if (!room.asked.has(keyOf(lease))) ask(room, lease)
        due(room, performance.now() + retryMs)
      }
    }
  }

  function takeAsked(room: Room, now: number): Lease[] {
    for (const [userId, untilMs] of room.leaving) {
      if (untilMs > now) continue
      room.leaving.delete(userId)
      ask(room, present(userId, 0))
    }
    const asked = [...room.asked.values()]
    room.asked.clear()
    return asked
  }

  const newsOf = ({ tenantId, sessionId, told }: Room, standing: Standing | undefined): Telling[] =>
    activities.flatMap((activity) => {
      const version = standing?.versions[activity] ?? 0
      if (version <= told[activity]) return []
      return { tenantId, sessionId, activity, version, userIds: standing?.[activity] ?? [] }
    })

  const isDueIn =
    ({ presentToldAtMs }: Room, now: number) =>
    ({ activity, userIds }: Telling) =>
      activity === 'typing' || userIds.length <= few || now - presentToldAtMs >= times.manyApartMs

  /** Comes back when a lease is to be renewed, may end or was to be ended; forgets a room with nobody in it. */
  function settle(room: Room, standing: Standing | undefined) {
    const now = performance.now()
    const isUntold = newsOf(room, standing).length > 0
    // What was heard meanwhile may be newer.
    if (standing?.typing.length) room.typing = [...new Set([...room.typing, ...standing.typing])]
    const isEmpty = room.users.size + room.leaving.size + room.asked.size === 0
    if (isEmpty && !isUntold && !standing?.typing.length) {
      rooms.delete(room.sessionId)
      return
    }
    const endMs = standing?.nextEndMs ?? times.renewMs
    due(room, now + (isUntold ? Math.min(retryMs, times.manyApartMs) : Math.min(times.renewMs, endMs + 1)))
    for (const untilMs of room.leaving.values()) due(room, untilMs)
  }

  function leave(room: Room, userId: string) {
    const left = (room.users.get(userId) ?? 1) - 1
    if (left > 0) room.users.set(userId, left)
    else {
      room.users.delete(userId)
      const untilMs = performance.now() + times.graceMs
      room.leaving.set(userId, untilMs)
      due(room, untilMs)
    }
  }

  function type(name: RoomName, userId: string, isTyping: boolean) {
    const room = open(name)
    const now = performance.now()
    if (isTyping && now - (room.typedAtMs.get(userId) ?? -Infinity) < times.typingAgainMs) return
    if (isTyping) room.typedAtMs.set(userId, now)
    else {
      room.typedAtMs.delete(userId)
      room.typing = room.typing.filter((id) => id !== userId)
    }
    ask(room, { activity: 'typing', userId, holder: '', ttlMs: isTyping ? times.typingMs : 0 })
    due(room, 0)
    wake()
  }

  return {
    enter(name, userId) {
      const room = open(name)
      const isHeld = room.users.has(userId) || room.leaving.delete(userId)
      room.users.set(userId, (room.users.get(userId) ?? 0) + 1)
      if (!isHeld) {
        due(room, 0)
        wake()
      }
      let isInside = true
      return () => {
        if (isInside) leave(room, userId)
        isInside = false
      }
    },
    type,
    sent(name, userId) {
      const room = rooms.get(name.sessionId)
      if (room?.typing.includes(userId) || room?.typedAtMs.has(userId)) type(name, userId, false)
    },
    heard({ sessionId }, typing) {
      const room = rooms.get(sessionId)
      if (room) room.typing = typing
    },
    size: () => rooms.size,
    start() {
      ticking = setInterval(work, tickMs)
    },
    async stop() {
      clearInterval(ticking)
      await working
      const updates = [...rooms.values()].map(({ sessionId, users, leaving, asked }) => ({
        place: sessionId,
        leases: [
          ...asked.values(),
          ...[...users.keys(), ...leaving.keys()].map((id) => present(id, times.graceMs)),
        ],
      }))
      rooms.clear()
      await store.exchange(updates).catch(onFailure)
    },
  }
}

const nobody: readonly string[] = []

const keyOf = ({ activity, userId }: Lease) => `${activity} ${userId}`

const ask = (room: Room, lease: Lease) => room.asked.set(keyOf(lease), lease)
