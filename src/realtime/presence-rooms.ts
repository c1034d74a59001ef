import { SmallSet } from '../lib/small-set.ts'
import { type Activity, activities, type Lease, type PresenceStore, type Standing } from './presence.ts'
import { foundIn, isGone, isPresent, type People, type Person, personIn } from './presence-people.ts'

/**
 * What this node has to say of who is present and who types: it holds the leases of those who are here, finds those of
 * others that ended, and tells every change that it learns of, in batches. A change is told by all who learn of it, once:
 * the feed takes each version only the first time. So a change is told although the node that caused it died with it.
 */
export type Rooms = {
  /** The user looks at the session, until it leaves as often as it entered; leaving takes effect after a grace. */
  enter(place: RoomName, userId: string): void
  leave(place: RoomName, userId: string): void
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
  readonly people: People
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

  const leaseOf = ({ userId }: Person, activity: Activity, ttlMs: number): Lease => ({
    activity,
    userId,
    holder: activity === 'present' ? nodeId : '',
    ttlMs,
  })
  /** The leases of those who are here, or were a moment ago. */
  const present = ({ people }: Room, ttlMs: number): Lease[] =>
    [...people].filter(isPresent).map((person) => leaseOf(person, 'present', ttlMs))
  const askedIn = ({ people }: Room): Lease[] =>
    [...people].flatMap((person) =>
      activities.flatMap((activity) => {
        const ttlMs = person.askedMs[activity]
        return ttlMs === null ? [] : leaseOf(person, activity, ttlMs)
      }),
    )

  const open = ({ tenantId, sessionId }: RoomName): Room => {
    const known = rooms.get(sessionId)
    if (known) return known
    const room: Room = {
      tenantId,
      sessionId,
      people: new SmallSet(),
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
        leases: [...(asked[index] ?? []), ...present(room, times.leaseMs)],
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
        for (const { userId, activity, ttlMs } of asked[index] ?? [])
          personIn(room.people, userId).askedMs[activity] ??= ttlMs
        due(room, performance.now() + retryMs)
      }
    }
  }

  function takeAsked(room: Room, now: number): Lease[] {
    for (const person of room.people) {
      if (person.leavesAtMs === null || person.leavesAtMs > now) continue
      person.leavesAtMs = null
      person.askedMs.present = 0
    }
    const asked = askedIn(room)
    for (const { askedMs } of room.people) for (const activity of activities) askedMs[activity] = null
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
    for (const person of [...room.people])
      if (isGone(person) && now - (person.typedAtMs ?? -Infinity) >= times.typingMs)
        room.people.delete(person)
    const isEmpty = [...room.people].every(isGone)
    if (isEmpty && !isUntold && !standing?.typing.length) {
      rooms.delete(room.sessionId)
      return
    }
    const endMs = standing?.nextEndMs ?? times.renewMs
    due(room, now + (isUntold ? Math.min(retryMs, times.manyApartMs) : Math.min(times.renewMs, endMs + 1)))
    for (const { leavesAtMs } of room.people) if (leavesAtMs !== null) due(room, leavesAtMs)
  }

  function type(name: RoomName, userId: string, isTyping: boolean) {
    const room = open(name)
    const person = personIn(room.people, userId)
    const now = performance.now()
    if (isTyping && now - (person.typedAtMs ?? -Infinity) < times.typingAgainMs) return
    person.typedAtMs = isTyping ? now : null
    person.askedMs.typing = isTyping ? times.typingMs : 0
    if (!isTyping) room.typing = room.typing.filter((id) => id !== userId)
    due(room, 0)
    wake()
  }

  return {
    enter(name, userId) {
      const room = open(name)
      const person = personIn(room.people, userId)
      const isHeld = isPresent(person)
      person.leavesAtMs = null
      person.subscriptions += 1
      if (isHeld) return
      due(room, 0)
      wake()
    },
    leave({ sessionId }, userId) {
      const room = rooms.get(sessionId)
      const person = room && foundIn(room.people, userId)
      if (!room || !person?.subscriptions) return
      person.subscriptions -= 1
      if (person.subscriptions > 0) return
      person.leavesAtMs = performance.now() + times.graceMs
      due(room, person.leavesAtMs)
    },
    type,
    sent(name, userId) {
      const room = rooms.get(name.sessionId)
      if (!room) return
      const hasTyped = foundIn(room.people, userId)?.typedAtMs != null
      if (hasTyped || room.typing.includes(userId)) type(name, userId, false)
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
      const updates = [...rooms.values()].map((room) => ({
        place: room.sessionId,
        leases: [...askedIn(room), ...present(room, times.graceMs)],
      }))
      rooms.clear()
      await store.exchange(updates).catch(onFailure)
    },
  }
}

const nobody: readonly string[] = []
