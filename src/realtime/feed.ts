import { setTimeout as sleep } from 'node:timers/promises'
import type { Soon } from '../lib/async.ts'
import type { Polled } from '../lib/polled.ts'
import type { Appended, Broker, JsonValue, Mark, Position } from './broker.ts'
import { formatCursor, parseCursor } from './feed-cursor.ts'
import {
  Deliveries,
  type Delivery,
  type Home,
  isAfterHole,
  type Observed,
  revisionAfter,
  type Stored,
  type StoredState,
} from './feed-deliveries.ts'
import type { ChangeEvent, FeedEvent, PresenceEvent, ToldReplyEvent } from './feed-events.ts'
import { eventOf, fold, isNewerThan } from './feed-fold.ts'
import { countMark, fenceMark, marksOfEnd, revisionMark, textMark, versionMark } from './feed-marks.ts'

/** A reply that is being written. `fence` is the revision with which its run started: a later start shuts it out. */
export type ReplyPlace = { sessionId: string; messageId: string; fence: number }

/**
 * Tells what a reply says next, being the events after the first `count` of it, the text up to `textLength`. Resolves to
 * how many events of it the log holds then: fewer or more than were given where an earlier call went otherwise than its
 * caller knows. `overtaken`: another node, or the end of the run, has shut this one out. Without events it only keeps the
 * log informed. Rejects where the log cannot be reached; then it may have happened.
 */
export type TellReply = (
  reply: { count: number; textLength: number },
  events: readonly ToldReplyEvent[],
) => Soon<number | 'overtaken'>

export type Since = { events: FeedEvent[]; cursor: string }

/**
 * The live feed of a session: events in one order, a cursor after each, and a snapshot where a reader starts or where
 * history no longer reaches back to it.
 *
 * Every committed change of a session raises its `revision` by one, and the events that announce it carry that. They
 * stand in the log in the order of revisions, whichever nodes they come from: an announcement waits for the one before
 * it. A revision that is skipped was lost with its node, and readers that come to the place take a snapshot. Text is
 * told by the one node that holds the run: a fence keeps out whoever held it before, and a count makes a repeated call
 * happen once.
 *
 * Hence `read, then follow` is exact: whoever reads the stored state can tell which events it already holds, however
 * commit, announcement and read interleave.
 */
export type Feed = {
  /** False where nobody follows the session here or elsewhere, nor has a cursor to go on from. */
  isHeard(sessionId: string): boolean
  /**
   * Announces committed changes, in the order of their revisions: waits for an earlier one that is still on its way,
   * for a second at most. Rejects where the log cannot be reached.
   */
  publish(sessionId: string, events: readonly ChangeEvent[]): Promise<void>
  /**
   * For what a reply says; made once for it. `onLogLost`: what was told so far is kept by nobody now, as far as this call
   * can tell, since the log began anew or cannot be reached.
   */
  teller(place: ReplyPlace, onLogLost?: () => void): TellReply
  /** Tells who is present or types, unless that or a later version was told already. */
  show(sessionId: string, event: PresenceEvent, version: number): Promise<void>
  /**
   * The state that `read` gives, completed by what was announced but not stored yet, and the cursor that matches it:
   * a follower that starts there misses nothing and sees nothing twice.
   */
  observe<State extends StoredState>(sessionId: string, read: () => Promise<State>): Promise<Observed<State>>
  /**
   * Shuts out whoever was telling a reply, whose fence is lower, and gives its text: as stored, and what was told beyond
   * that, as far as the log still has it.
   */
  takeOver(place: ReplyPlace, stored: string): Promise<string>
  /** The cursor just before the first event that a state of this revision does not hold. */
  cursorAt(sessionId: string, revision: number): Promise<string>
  /** The events after a cursor that are kept now; null where history does not reach back to it. */
  since(sessionId: string, after: string): Promise<Since | null>
  /**
   * Attaches before it resolves. With `after`: every event since, once and in order, then live; without it, or where
   * history does not reach back to it, first a snapshot. Ends when the session is deleted. `stored` is kept for as long as
   * that is followed.
   */
  follow<State extends StoredState>(
    sessionId: string,
    stored: Stored<State>,
    after?: string | null,
  ): Promise<Polled<Delivery<State>>>
  /** The sessions that are followed here, each with the revision up to which its followers were told at least. */
  followed(): ReadonlyMap<string, number>
  /** The revision up to which changes of a session were announced; undefined where the log does not know. */
  announced(sessionId: string): Promise<number | undefined>
}

/** Entries that are looked at first to complete a stored text: some seconds of a fast reply. */
const shortTail = 256

/**
 * Text that the log has lost already and the row does not have yet is there after the next checkpoint; where its node
 * died, the run ends within its lease and a sweep.
 */
const readAgainMs = 100
const readsAtMost = 300

type FeedOptions = {
  /** The broker's own bound. */
  maxEntries: number
  /** Milliseconds that an announcement waits for the one before it. */
  patienceMs?: number
}

type Followed = { followers: number; revision: number }

/** Makes the feed over a broker. */
export function createFeed(broker: Broker, { maxEntries, patienceMs = 1_000 }: FeedOptions): Feed {
  const followed = new Map<string, Followed>()

  async function observeFrom<State extends StoredState>(
    channel: string,
    start: Position,
    read: () => Promise<State>,
  ): Promise<Observed<State>> {
    let from = start
    for (let reads = 1; reads <= readsAtMost; reads += 1) {
      const state = await read()
      for (const limit of [shortTail, maxEntries]) {
        const tail = await broker.tail(channel, limit)
        const folded = fold(tail, from, state)
        const isDeepest = limit === maxEntries || tail.entries.length < limit
        if (!folded.isWhole || !(folded.isProven || isDeepest)) continue
        const position = { epoch: tail.position.epoch, offset: folded.offset }
        return { state, text: folded.text, cursor: formatCursor(position, state.revision) }
      }
      await sleep(readAgainMs)
      from = await broker.position(channel)
    }
    throw new Error(`The feed ${channel} has text that neither its log nor the database holds.`)
  }

  async function startAt<State extends StoredState>(
    channel: string,
    position: Position,
    read: () => Promise<State>,
  ): Promise<Delivery<State>> {
    const snapshot = await observeFrom(channel, position, read)
    return { reason: 'START', at: new Date(), cursor: snapshot.cursor, snapshot }
  }

  function join(sessionId: string, revision: number) {
    const known = followed.get(sessionId)
    if (!known) followed.set(sessionId, { followers: 1, revision })
    else {
      known.followers += 1
      known.revision = Math.min(known.revision, revision)
    }
  }

  const home: Home = {
    observe: (sessionId, position, read) => observeFrom(channelOf(sessionId), position, read),
    told(sessionId, revision) {
      const known = followed.get(sessionId)
      if (known && known.revision < revision) known.revision = revision
    },
    release(sessionId) {
      const left = followed.get(sessionId)
      if (left && left.followers > 1) left.followers -= 1
      else followed.delete(sessionId)
    },
  }

  return {
    isHeard: (sessionId) => broker.isUsed(channelOf(sessionId)),
    async publish(sessionId, events) {
      const [first] = events
      if (!first) return
      const { revision } = first
      const entries = events.map((event, index) =>
        index < events.length - 1 ? { ...event, more: true } : event,
      )
      const ends = events.flatMap(marksOfEnd)
      // Nothing that is still on its way comes before what is known to be lost.
      const dueAtMs = performance.now() + (first.type === 'Lost' ? 0 : patienceMs)
      for (let waitMs = 2; ; waitMs = Math.min(waitMs * 2, 50)) {
        const isDue = performance.now() >= dueAtMs
        const before = { min: isDue ? 0 : revision - 1, max: revision - 1 }
        const marks = [{ name: revisionMark, ...before, to: revision }, ...ends]
        const appended = await broker.append(channelOf(sessionId), entries as JsonValue[], marks)
        const isOvertaken = (appended.marks[0] ?? 0) >= revision
        if (appended.isAppended || isOvertaken || isDue) return
        await sleep(waitMs)
      }
    },
    teller({ sessionId, messageId, fence }, onLogLost = () => {}) {
      const channel = channelOf(sessionId)
      const [countName, textName] = [countMark(messageId), textMark(messageId)]
      const fenceMet = { name: fenceMark, max: fence, to: fence }
      /** That of the log that has what was told; undefined where none is known to have it. */
      let epoch: string | undefined
      const standIn = (epochNow: string | undefined) => {
        if (epoch !== undefined && epoch !== epochNow) onLogLost()
        epoch = epochNow
      }
      return ({ count, textLength }, events) => {
        const marks: Mark[] = [
          fenceMet,
          { name: countName, min: count, max: count, to: count + events.length },
          { name: textName, to: textLength },
        ]
        const toldBy = ({ isAppended, position, marks: [fenceNow = 0, countNow = count] }: Appended) => {
          standIn(position.epoch)
          if (isAppended) return count + events.length
          return fenceNow > fence ? 'overtaken' : countNow
        }
        const appended = broker.append(channel, events, marks)
        if (!(appended instanceof Promise)) return toldBy(appended)
        return appended.then(toldBy, (error) => {
          standIn(undefined)
          throw error
        })
      }
    },
    async show(sessionId, event, version) {
      const mark = { name: versionMark(event.type), max: version - 1, to: version }
      await broker.append(channelOf(sessionId), [event], [mark])
    },
    async observe(sessionId, read) {
      const channel = channelOf(sessionId)
      return observeFrom(channel, await broker.position(channel), read)
    },
    async takeOver({ sessionId, messageId, fence }, stored) {
      await broker.append(channelOf(sessionId), [], [{ name: fenceMark, max: fence, to: fence }])
      const tail = await broker.tail(channelOf(sessionId), maxEntries)
      const state = { revision: Number.MAX_SAFE_INTEGER, text: new Map([[messageId, stored]]) }
      const { text, isWhole } = fold(tail, tail.position, state)
      const told = text.get(messageId) ?? ''
      return isWhole && told.length > stored.length ? told : stored
    },
    async cursorAt(sessionId, revision) {
      // As a rule nothing newer was announced. Else it is looked for back to what is no newer: revisions are in order.
      for (const limit of [1, shortTail, maxEntries]) {
        const { entries, position, marks } = await broker.tail(channelOf(sessionId), limit)
        const announced = marks[revisionMark]
        if (announced !== undefined && announced <= revision) return formatCursor(position, revision)
        const isWhole = limit === maxEntries || entries.length < limit
        if (!isWhole && !entries.some((entry) => isHeldAt(eventOf(entry), revision))) continue
        const newer = entries.find((entry) => isNewerThan(eventOf(entry), revision))
        return formatCursor(newer ? { ...position, offset: newer.offset - 1 } : position, revision)
      }
      throw new Error('The last tail is whole.')
    },
    async since(sessionId, after) {
      const cursor = parseCursor(after)
      const entries = await broker.read(channelOf(sessionId), cursor.position, maxEntries)
      if (entries === null) return null
      let { revision } = cursor
      for (const event of entries.map(eventOf)) {
        if (isAfterHole(event, revision)) return null
        revision = revisionAfter(event, revision)
      }
      const offset = entries.at(-1)?.offset ?? cursor.position.offset
      return { events: entries.map(eventOf), cursor: formatCursor({ ...cursor.position, offset }, revision) }
    },
    async follow(sessionId, stored, after) {
      const channel = channelOf(sessionId)
      const cursor = after == null ? undefined : parseCursor(after)
      const following = await broker.follow(channel, cursor ? { after: cursor.position } : {})
      try {
        const first = cursor ? null : await startAt(channel, following.position, () => stored.read())
        const start = cursor ?? parseCursor(first?.cursor ?? '')
        join(sessionId, start.revision)
        return new Deliveries({ home, sessionId, stored, following, start, first })
      } catch (error) {
        following.close()
        throw error
      }
    },
    followed: () => new Map([...followed].map(([sessionId, { revision }]) => [sessionId, revision])),
    async announced(sessionId) {
      return (await broker.tail(channelOf(sessionId), 1)).marks[revisionMark]
    },
  }
}

const isHeldAt = (event: FeedEvent, revision: number) => 'revision' in event && event.revision <= revision

const channelOf = (sessionId: string) => `session:${sessionId}`
