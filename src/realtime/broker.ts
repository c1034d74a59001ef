import type { Soon } from '../lib/async.ts'
import type { Polled } from '../lib/polled.ts'

/**
 * An ordered, bounded, resumable log per channel, and a wake-up for whoever follows it. The form is the one that
 * Centrifugo proved (offset + epoch, recovery that is whole or told to have failed). Every implementation passes
 * `test/contract/broker.suite.ts`.
 *
 * Guarantees:
 * - **Order.** `append` gives its entries consecutive offsets, rising by one per entry and channel from 1, in one
 *   atomic step; every follower of the channel sees entries in offset order.
 * - **Nothing lost between attach and first read.** When `follow` has resolved, the follower is attached: an entry
 *   appended after that moment is delivered, or told as a gap, however late the first read comes.
 * - **Nothing twice.** A follower gets each offset at most once.
 * - **Bounded.** A channel keeps its newest `maxEntries` entries. An entry that is not pushed out is kept for
 *   `maxAgeMs` and dropped before twice that. A channel that no call named and nobody followed for `maxAgeMs` is
 *   forgotten before twice that. A follower has no queue of its own: it is a position in the log, so a reader that
 *   stops costs nothing.
 * - **A gap is told.** Where the log does not reach back to the wanted position (trimmed, of another epoch, or
 *   ahead of the log's end), the follower gets one `gap` item with the position that it goes on from; never a
 *   silent hole. That holds on attaching and later, for a follower that fell behind the bound.
 * - **Marks.** A channel has whole numbers by name beside its entries, which live and die with its epoch. An append can
 *   be bound to them and moves them in the same atomic step, so that many producers agree on an order, a repeated append
 *   happens once, and one that was overtaken happens never.
 * - A log that was lost or forgotten begins anew with a new epoch; offsets of different epochs are never compared.
 * - Where the log cannot be reached, calls reject (a rejected `append` may have happened all the same) and followers
 *   wait; they go on afterwards, after a gap if the log was lost.
 */
export type Broker = {
  /**
   * Appends entries in one step and wakes the followers; resolves to the position of the channel's last entry,
   * also where `entries` is empty. Where a mark is out of its bounds nothing is appended and no mark moves. Entries
   * must not be changed afterwards. A log in this process answers at once, without a promise for each word of a reply.
   */
  append(channel: string, entries: readonly JsonValue[], marks?: readonly Mark[]): Soon<Appended>
  /** False where no call has named the channel of late: nobody follows it, and nobody can go on from a place in it. */
  isUsed(channel: string): boolean
  /** The position of the channel's last entry; offset 0 before the first, which is a place to resume from too. */
  position(channel: string): Promise<Position>
  /**
   * The entries after `after`, oldest first, at most `limit` (1 or more) of them, or `null` where the log does not
   * reach back to it.
   */
  read(channel: string, after: Position, limit: number): Promise<Entry[] | null>
  /** The newest entries, oldest first, at most `limit` (1 or more) of them, with position and marks in the same step. */
  tail(channel: string, limit: number): Promise<Tail>
  /**
   * Attaches a follower: entries after `after`, then live ones; without `after`, live from now. Ends, without an
   * error, when `signal` aborts or it is closed, even while a read waits; then it holds nothing any more.
   */
  follow(channel: string, options: { after?: Position; signal?: AbortSignal }): Promise<Following>
  /** Ends every follower; every call but `close` is refused with an error from then on. */
  close(): Promise<void>
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** A place in a channel's log: just after the entry with this whole number. `epoch` has no `:` in it. */
export type Position = { readonly epoch: string; readonly offset: number }

/** `at` is milliseconds since 1970 by the broker's clock, for display only: order is by offset. */
export type Entry = { readonly offset: number; readonly at: number; readonly data: JsonValue }

/**
 * A condition on a named number of the channel, and what it becomes. It holds where the number is not there or is from
 * `min` to `max`, both included and without a bound where left out. `to` null takes the number away; where `to` is left
 * out, the number stays as it is.
 */
export type Mark = {
  readonly name: string
  readonly min?: number
  readonly max?: number
  readonly to?: number | null
}

/** The numbers of a channel by name. */
export type Marks = Readonly<Record<string, number>>

/** `marks` has the numbers that the append named, in its order, as they are after it; undefined for one that is not there. */
export type Appended = {
  readonly position: Position
  readonly isAppended: boolean
  readonly marks: MarkValues
}

export type MarkValues = readonly (number | undefined)[]

export type Tail = { readonly entries: Entry[]; readonly position: Position; readonly marks: Marks }

/** Entries come in batches: all that are there, at most `batchSize`. A `gap` says where reading goes on from. */
export type FollowItem =
  | { type: 'entries'; epoch: string; entries: Entry[] }
  | { type: 'gap'; position: Position }

/**
 * Wakes its reader as part of an append: to be read from later in the turn. `position` is where the follower stands when
 * `follow` resolves: `after` itself where the log reaches back to it, else the channel's newest entry, and then the
 * first item is that `gap`.
 */
export type Following = Polled<FollowItem> & { readonly position: Position }

export type BrokerLimits = {
  /** Entries kept per channel; 10,000 by default. */
  maxEntries: number
  /** Milliseconds that an entry is kept, and an unused channel remembered; 15 minutes by default. */
  maxAgeMs: number
  /** Entries in one item at most; 300 by default (Centrifugo's page of recovery). */
  batchSize: number
}
