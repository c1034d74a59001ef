import { ended, iteratePolled, type Polled } from '../lib/polled.ts'
import type { Entry, Following, Position } from './broker.ts'
import { type FeedCursor, formatCursor, parseCursor } from './feed-cursor.ts'
import type { FeedEvent } from './feed-events.ts'
import { eventOf, isNewerThan } from './feed-fold.ts'

/** What is stored of a session, read in one database snapshot; `text` maps each message that grows to its text. */
export type StoredState = { revision: number; text: ReadonlyMap<string, string> }

/** Where the stored state is read. */
export type Stored<State extends StoredState> = { read(): Promise<State> }

export type Observed<State> = {
  state: State
  /** The text so far of each streaming message, up to `cursor`. */
  text: ReadonlyMap<string, string>
  cursor: string
}

export type Delivery<State> =
  | { cursor: string; at: Date; event: FeedEvent }
  | { cursor: string; at: Date; snapshot: Observed<State>; reason: 'START' | 'GAP' }

/** What deliveries ask of their feed; one for all of them. */
export type Home = {
  /** A snapshot for a reader that cannot go on from where it is. */
  observe<State extends StoredState>(
    sessionId: string,
    position: Position,
    read: () => Promise<State>,
  ): Promise<Observed<State>>
  /** The reader was told the changes up to here. */
  told(sessionId: string, revision: number): void
  /** The reader has gone. */
  release(sessionId: string): void
}

type Options<State extends StoredState> = {
  home: Home
  sessionId: string
  stored: Stored<State>
  following: Following
  start: FeedCursor
  /** The snapshot that the reader begins with. */
  first: Delivery<State> | null
}

/**
 * What the feed tells one reader, or those who share one. There are as many of these as idle readers: a class, since it
 * takes a fraction of the memory of closures.
 */
export class Deliveries<State extends StoredState> implements Polled<Delivery<State>> {
  private readonly home: Home
  private readonly sessionId: string
  private readonly stored: Stored<State>
  private readonly following: Following
  /** Up to where the reader was told: an epoch, an offset in it, a revision. */
  private seenEpoch: string
  private seenOffset: number
  private seenRevision: number
  /** Let go of once it is given: a reader that waits would keep a whole session. */
  private next: Delivery<State> | null
  private epoch = ''
  private entries: readonly Entry[] = none
  private at = 0
  private isObserving = false
  private failure: { error: unknown } | null = null
  private isClosed = false
  private wake: (() => void) | null = null

  constructor({ home, sessionId, stored, following, start, first }: Options<State>) {
    const { position, revision } = start
    this.home = home
    this.sessionId = sessionId
    this.stored = stored
    this.following = following
    this.seenEpoch = position.epoch
    this.seenOffset = position.offset
    this.seenRevision = revision
    this.next = first
  }

  poll(wake: () => void): IteratorResult<Delivery<State>, undefined> | null {
    if (this.failure && !this.isClosed) {
      this.close()
      throw this.failure.error
    }
    if (this.isClosed) return ended
    this.wake = wake
    const delivery = this.read(wake)
    if (delivery === null) return null
    if (delivery === 'ended' || ('event' in delivery && delivery.event.type === 'SessionDeleted'))
      this.close()
    return delivery === 'ended' ? ended : { value: delivery }
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.home.release(this.sessionId)
    this.following.close()
    if (this.isObserving) this.wake?.()
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<Delivery<State>, undefined> {
    return iteratePolled.call(this) as AsyncIterableIterator<Delivery<State>, undefined>
  }

  /** Reads on to what the reader is to be told; null where that is not here yet. */
  private read(wake: () => void): Delivery<State> | 'ended' | null {
    while (!this.isObserving) {
      const given = this.next ?? this.take()
      this.next = null
      if (given !== null) return given
      if (this.isObserving || this.at < this.entries.length) continue
      this.entries = none
      this.at = 0
      const item = this.following.poll(wake)
      if (item === null) return null
      if (item.done) return 'ended'
      if (item.value.type === 'gap') void this.snapshotAt(item.value.position)
      else ({ epoch: this.epoch, entries: this.entries } = item.value)
    }
    return null
  }

  /** The next entry that is here already; null where there is none, or the reader is told nothing of it. */
  private take(): Delivery<State> | null {
    const { epoch } = this
    const held = this.seenRevision
    const entry = this.entries[this.at]
    if (!entry) return null
    this.at += 1
    // A snapshot may stand in a newer life of the log than the rest of this batch.
    if (epoch !== this.seenEpoch || entry.offset <= this.seenOffset) return null
    const event = eventOf(entry)
    const isHeld = 'revision' in event && event.revision <= held
    if (!isHeld && !endsFeeds(event) && isAfterHole(event, held)) {
      void this.snapshotAt({ epoch, offset: entry.offset })
      return null
    }
    const revision = revisionAfter(event, held)
    this.seenOffset = entry.offset
    this.seenRevision = revision
    if ('revision' in event) this.home.told(this.sessionId, revision)
    if (isHeld && !endsFeeds(event)) return null
    const cursor = formatCursor({ epoch, offset: entry.offset }, revision)
    return { cursor, at: new Date(entry.at), event }
  }

  private async snapshotAt(position: Position) {
    this.isObserving = true
    try {
      const snapshot = await this.home.observe(this.sessionId, position, () => this.stored.read())
      const { position: at, revision } = parseCursor(snapshot.cursor)
      this.seenEpoch = at.epoch
      this.seenOffset = at.offset
      this.seenRevision = revision
      this.next = { reason: 'GAP', at: new Date(), cursor: snapshot.cursor, snapshot }
    } catch (error) {
      this.failure = { error }
    }
    this.isObserving = false
    this.wake?.()
  }
}

const none: readonly Entry[] = []

/**
 * Whether something between what the reader holds and this event was never told; of a word, the message that it is of.
 */
export const isAfterHole = (event: FeedEvent, revision: number) =>
  'fence' in event
    ? Number(event.fence) > revision
    : isNewerThan(event, revision) &&
      (event.type === 'Lost' || ('revision' in event && event.revision > revision + 1))

/** What a reader holds after this event: all of a change only with its last event. */
export const revisionAfter = (event: FeedEvent & { more?: boolean }, revision: number) =>
  'revision' in event && !event.more ? Math.max(revision, event.revision) : revision

/** Told whatever a cursor says of the reader's revision: a made-up one must not keep a feed open. */
const endsFeeds = ({ type }: FeedEvent) => type === 'SessionDeleted' || type === 'ParticipantRemoved'
