/**
 * An ordered, bounded, resumable log per channel, and a wake-up for whoever follows it. The form is the one that
 * Centrifugo proved (offset + epoch, recovery that is whole or told to have failed). Every implementation passes
 * `test/contract/broker.suite.ts`.
 *
 * Guarantees:
 * - **Order.** `append` gives its entries consecutive offsets, rising by one per entry and channel, in one atomic
 *   step; every follower of the channel sees entries in offset order.
 * - **Nothing lost between attach and first read.** When `follow` has resolved, the follower is attached: an entry
 *   appended after that moment is delivered however late the first read comes.
 * - **Nothing twice.** A follower gets each offset at most once.
 * - **Bounded.** A channel keeps at most `maxEntries` entries, none older than `maxAgeMs`, and is forgotten when it
 *   was not appended to for `maxAgeMs` and nobody follows it. A follower holds no queue of its own: it is a position
 *   in the log, so a reader that stops costs nothing.
 * - **A gap is told.** Where the log does not reach back to the wanted position (trimmed, forgotten, or written in
 *   another epoch), the follower gets one `gap` item with the position that it goes on from; never a silent hole.
 *   That holds on attaching and later, for a follower that fell behind the bound.
 * - A log that was lost and begins anew has a new epoch; offsets of different epochs are never compared.
 */
export type Broker = {
  /**
   * Appends entries in one step and wakes the followers; resolves to the position of the last entry. Entries are
   * plain JSON values and must not be changed afterwards.
   */
  append(channel: string, entries: readonly JsonValue[]): Promise<Position>
  /** The position of the channel's last entry; a channel that nothing was appended to has offset 0. */
  position(channel: string): Promise<Position>
  /**
   * The entries after `after`, oldest first, at most `limit` of them, or `null` where the log does not reach back
   * to it.
   */
  read(channel: string, after: Position, limit: number): Promise<Entry[] | null>
  /** The newest entries, oldest first, at most `limit` of them. */
  tail(channel: string, limit: number): Promise<{ entries: Entry[]; position: Position }>
  /**
   * Attaches a follower: entries after `after`, then live ones; without `after`, live from now. Ends when `signal`
   * aborts or the iterator's `return` is called, and then holds nothing any more.
   */
  follow(channel: string, options: { after?: Position; signal: AbortSignal }): Promise<Following>
  /** Ends every follower; appends and follows after that are refused with an error. */
  close(): Promise<void>
}

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue }

/** A place in a channel's log: just after the entry with this offset. `epoch` has no `:` in it. */
export type Position = { epoch: string; offset: number }

/** `at` is milliseconds since 1970 by the broker's clock, for display only: order is by offset. */
export type Entry = { offset: number; at: number; data: JsonValue }

/** Entries come in batches: all that are there, at most `batchSize`. A `gap` says where reading goes on from. */
export type FollowItem =
  | { type: 'entries'; epoch: string; entries: Entry[] }
  | { type: 'gap'; position: Position }

/**
 * `position` is where the follower stands when `follow` resolves: `after` itself where the log reaches back to it,
 * else the channel's newest entry, and then the first item is that `gap`.
 */
export type Following = AsyncIterable<FollowItem> & { position: Position }

export type BrokerLimits = {
  /** Entries kept per channel; 10,000 by default. */
  maxEntries: number
  /** Milliseconds that an entry is kept; 15 minutes by default. */
  maxAgeMs: number
  /** Entries in one item at most; 300 by default (Centrifugo's page of recovery). */
  batchSize: number
}
