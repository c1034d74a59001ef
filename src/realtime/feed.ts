import { setTimeout as sleep } from 'node:timers/promises'
import { LRUCache } from 'lru-cache'
import { closing } from '../lib/async.ts'
import { invalid } from '../lib/errors.ts'
import type { Broker, Entry, JsonValue, Position } from './broker.ts'

/**
 * The live feed of a session: events in one order, a cursor after each, and a snapshot where a reader starts or where
 * history no longer reaches back to it.
 *
 * Two things make `read, then follow` exact. Events that announce a committed change carry the session's `revision`
 * of that commit, and text carries its offset; so whoever reads the stored state can tell which events it already
 * holds, however commit, announcement and read interleave.
 */
export type FeedEvent =
  | { type: 'MessageAdded' | 'MessageUpdated'; revision: number; message: WireRow }
  | { type: 'MessageRemoved'; revision: number; messageId: string }
  | { type: 'TextDelta'; messageId: string; offset: number; text: string }
  | { type: 'ToolCallStarted'; messageId: string; toolCallId: string; name: string }
  | { type: 'ToolCallDelta'; messageId: string; toolCallId: string; text: string }
  | { type: 'ToolCallFinished'; messageId: string; toolCallId: string; name: string; arguments: JsonValue }
  | { type: 'RunQueued' | 'RunStarted' | 'RunFinished'; revision: number; run: WireRow }
  | { type: 'SessionUpdated'; revision: number; session: WireRow }
  | { type: 'SessionDeleted'; revision: number; sessionId: string }
  /** For the feeds of this user, not for their readers. */
  | { type: 'ParticipantRemoved'; revision: number; userId: string }

/** A database row as JSON: stamps are ISO text in fields whose name ends in `At`, decimals are text. */
export type WireRow = { readonly id: string; readonly [field: string]: JsonValue }

/** What is stored of a session, read in one database snapshot; `text` maps each message that grows to its text. */
export type StoredState = { revision: number; text: ReadonlyMap<string, string> }

export type Observed<State> = {
  state: State
  /** The text so far of each streaming message, up to `cursor`. */
  text: ReadonlyMap<string, string>
  cursor: string
}

export type Delivery<State> =
  | { cursor: string; at: Date; event: FeedEvent }
  | { cursor: string; at: Date; snapshot: Observed<State>; reason: 'START' | 'GAP' }

export type Since = { events: FeedEvent[]; cursor: string }

export type Feed = {
  /** Announces events in this order. Call it after the commit. */
  publish(sessionId: string, events: readonly FeedEvent[]): Promise<void>
  /**
   * The state that `read` gives, completed by what was announced but not stored yet, and the cursor that matches it:
   * a follower that starts there misses nothing and sees nothing twice.
   */
  observe<State extends StoredState>(sessionId: string, read: () => Promise<State>): Promise<Observed<State>>
  /** The cursor just before the first event that a state of this revision does not hold. */
  cursorAt(sessionId: string, revision: number): Promise<string>
  /** The events after a cursor that are kept now; null where history does not reach back to it. */
  since(sessionId: string, after: string): Promise<Since | null>
  /**
   * Attaches before it resolves. With `after`: every event since, once and in order, then live; without it, or where
   * history does not reach back to it, first a snapshot. Ends when the session is deleted; holds nothing any more once `return` was called, even unread.
   */
  follow<State extends StoredState>(
    sessionId: string,
    options: { after?: string | null | undefined; read: () => Promise<State> },
  ): Promise<AsyncIterableIterator<Delivery<State>>>
}

/** Entries that are looked at first to complete a stored text: some seconds of a fast reply. */
const shortTail = 256

/** Text that the log has lost already and the row does not have yet is there after the next checkpoint. */
const readAgainMs = 100
const readsAtMost = 100

/** Replies whose told length is kept: many more than are written at one time. */
const maxReplies = 10_000

/** Makes the feed over a broker; `maxEntries` is the broker's own bound. */
export function createFeed(broker: Broker, maxEntries: number): Feed {
  const channelOf = (sessionId: string) => `session:${sessionId}`
  /** How much of each reply was told from here: shows a hole where the log has lost every delta of it. */
  const told = new LRUCache<string, number>({ max: maxReplies })

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
        const folded = fold(tail, from, state, told)
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

  async function* deliver<State extends StoredState>(
    channel: string,
    following: Awaited<ReturnType<Broker['follow']>>,
    start: { cursor: FeedCursor } | { snapshot: Observed<State> },
    read: () => Promise<State>,
  ): AsyncGenerator<Delivery<State>> {
    let seen: FeedCursor
    if ('snapshot' in start) {
      yield { reason: 'START', at: new Date(), cursor: start.snapshot.cursor, snapshot: start.snapshot }
      seen = parseCursor(start.snapshot.cursor)
    } else seen = start.cursor

    for await (const item of following) {
      if (item.type === 'gap') {
        const snapshot = await observeFrom(channel, item.position, read)
        yield { reason: 'GAP', at: new Date(), cursor: snapshot.cursor, snapshot }
        seen = parseCursor(snapshot.cursor)
        continue
      }
      for (const entry of item.entries) {
        const event = eventOf(entry)
        if (entry.offset <= seen.position.offset && item.epoch === seen.position.epoch) continue
        seen = { ...seen, position: { epoch: item.epoch, offset: entry.offset } }
        if (isHeldBy(event, seen.revision)) continue
        yield { cursor: formatCursor(seen.position, seen.revision), at: new Date(entry.at), event }
        if (event.type === 'SessionDeleted') return
      }
    }
  }

  return {
    async publish(sessionId, events) {
      for (const event of events)
        if (event.type === 'TextDelta') told.set(event.messageId, event.offset + event.text.length)
      if (events.length > 0) await broker.append(channelOf(sessionId), events as readonly JsonValue[])
    },
    async observe(sessionId, read) {
      const channel = channelOf(sessionId)
      return observeFrom(channel, await broker.position(channel), read)
    },
    async cursorAt(sessionId, revision) {
      const { entries, position } = await broker.tail(channelOf(sessionId), maxEntries)
      const newer = entries.find((entry) => isNewerThan(eventOf(entry), revision))
      return formatCursor(newer ? { ...position, offset: newer.offset - 1 } : position, revision)
    },
    async since(sessionId, after) {
      const { position, revision } = parseCursor(after)
      const entries = await broker.read(channelOf(sessionId), position, maxEntries)
      if (entries === null) return null
      const offset = entries.at(-1)?.offset ?? position.offset
      return { events: entries.map(eventOf), cursor: formatCursor({ ...position, offset }, revision) }
    },
    async follow(sessionId, { after, read }) {
      const channel = channelOf(sessionId)
      const cursor = after == null ? undefined : parseCursor(after)
      const ending = new AbortController()
      const following = await broker.follow(channel, { after: cursor?.position, signal: ending.signal })
      try {
        const start = cursor ? { cursor } : { snapshot: await observeFrom(channel, following.position, read) }
        return closing(deliver(channel, following, start, read), () => ending.abort())
      } catch (error) {
        ending.abort()
        throw error
      }
    },
  }
}

const eventOf = (entry: Entry) => entry.data as FeedEvent

/** Whether a state of this revision already holds what the event announces, or does not hold it yet. */
const isHeldBy = (event: FeedEvent, revision: number) =>
  'revision' in event && event.revision <= revision && !endsFeeds(event)
/** Told whatever a cursor says of the reader's revision: a made-up one must not keep a feed open. */
const endsFeeds = ({ type }: FeedEvent) => type === 'SessionDeleted' || type === 'ParticipantRemoved'
const isNewerThan = (event: FeedEvent, revision: number) => 'revision' in event && event.revision > revision

/**
 * Completes stored texts by the deltas of a tail, up to the first event after `from` that the state does not hold.
 * A commit that the state has not seen was announced after the read began, hence after `from`.
 *
 * `isWhole` is false where something is missing for certain, `isProven` where a text met no delta: then the ones that
 * it lacks may stand before the tail.
 */
function fold(
  tail: { entries: Entry[]; position: Position },
  from: Position,
  state: StoredState,
  told: { get(messageId: string): number | undefined },
) {
  const text = new Map(state.text)
  const unmet = new Set(text.keys())
  const [oldest] = tail.entries
  let isWhole = from.epoch !== tail.position.epoch || !oldest || oldest.offset <= from.offset + 1
  let { offset } = tail.position
  for (const entry of tail.entries) {
    const event = eventOf(entry)
    const isNew = entry.offset > from.offset || from.epoch !== tail.position.epoch
    if (isNew && isNewerThan(event, state.revision)) {
      offset = entry.offset - 1
      break
    }
    if (event.type !== 'TextDelta') continue
    const known = text.get(event.messageId)
    if (known === undefined) continue
    unmet.delete(event.messageId)
    if (event.offset > known.length) isWhole = false
    else text.set(event.messageId, known.slice(0, event.offset) + event.text)
  }
  for (const messageId of unmet) {
    // What follows must go on where the text ends; where nothing does, the text must be all that was told.
    const next = tail.entries.map(eventOf).find((event) => isDeltaOf(event, messageId))
    const due = next?.type === 'TextDelta' ? next.offset : (told.get(messageId) ?? 0)
    if (due > (text.get(messageId) ?? '').length) isWhole = false
  }
  return { text, isWhole, isProven: unmet.size === 0, offset }
}

const isDeltaOf = (event: FeedEvent, messageId: string) =>
  event.type === 'TextDelta' && event.messageId === messageId

/** `revision` is that of the state the reader holds: events up to it are not repeated, whenever they arrive. */
type FeedCursor = { position: Position; revision: number }

const formatCursor = ({ epoch, offset }: Position, revision: number) => `${epoch}:${offset}:${revision}`

const cursorForm = /^([\w-]{1,40}):(\d{1,15}):(\d{1,9})$/

/** Throws a `ValidationError` for text that is no cursor of a feed. */
export function parseCursor(cursor: string): FeedCursor {
  const [, epoch, offset, revision] = cursorForm.exec(cursor) ?? []
  if (epoch === undefined) throw invalid('after', 'is not a cursor of a live feed')
  return { position: { epoch, offset: Number(offset) }, revision: Number(revision) }
}

/** Makes a row fit for the wire. */
export const toWire = (row: { id: string }): WireRow => JSON.parse(JSON.stringify(row)) as WireRow

/** The row again, its stamps as dates. */
export function fromWire<Row>(wire: WireRow): Row {
  const row: Record<string, unknown> = { ...wire }
  for (const [field, value] of Object.entries(wire))
    if (field.endsWith('At') && typeof value === 'string') row[field] = new Date(value)
  return row as Row
}
