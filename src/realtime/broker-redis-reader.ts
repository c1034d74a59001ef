import type { BrokerLimits, Entry, Position } from './broker.ts'
import { headOf, type Page, type Push, pushOf, type RedisLogs, type Standing } from './broker-redis-log.ts'

/** What one node knows of one channel that it follows: its newest entries, kept once for all followers. */
export type Reader = {
  readonly channel: string
  /** Settles when the channel's pushes arrive here. */
  readonly opened: Promise<unknown>
  /** Ends a follower, for each that is attached. */
  readonly followers: Set<() => void>
  /** Calls of `follow` that hold this reader, attached or about to be. */
  holders: number
  /** The entries after the position that are known here; null where only Redis can tell. */
  after(position: Position, limit: number): Entry[] | null
  /** The same from Redis; followers that stand at one place share a call. */
  read(after: Position): Promise<Page>
  /** Calls `wake` once when there may be something new, with `untilSync` also when Redis next answers. */
  wait(wake: () => void, options: { untilSync: boolean }): void
  unwait(wake: () => void): void
  /** Takes in what this node appended; others' pushes that are on their way may come before it. */
  appended(push: Push): void
  /** A message of pub/sub, as `pushOf` reads it. */
  pushed(message: string): void
  /** Takes in what Redis said of the channel: the word that counts, while pushes may be late or lost. */
  sync(standing: Standing): void
}

type Options = Pick<BrokerLimits, 'maxEntries' | 'batchSize'> & {
  channel: string
  logs: RedisLogs
  opened: Promise<unknown>
  /** Entries kept here; followers that are further behind read from Redis. */
  windowEntries: number
}

/** `entries` are consecutive, come after `start` and go to `end`. */
type Window = { readonly epoch: string; start: number; end: number; readonly entries: Map<number, Entry> }

export function createReader({
  channel,
  logs,
  opened,
  windowEntries,
  maxEntries,
  batchSize,
}: Options): Reader {
  const bound = Math.min(windowEntries, maxEntries)
  const waiting = new Set<() => void>()
  const reads = new Map<string, Promise<Page>>()
  let window: Window | undefined
  let missedPush = false
  let wakesOnSync = false
  let catchingUp = false
  let catchUpAgain = false

  const wakeAll = () => {
    const woken = [...waiting]
    waiting.clear()
    for (const wake of woken) wake()
  }

  const reset = ({ epoch, offset }: Position) => {
    window = { epoch, start: offset, end: offset, entries: new Map() }
    wakeAll()
  }

  /** Entries that begin at the window's end or before it. */
  const add = (into: Window, entries: readonly Entry[]) => {
    for (const entry of entries) {
      if (entry.offset <= into.end) continue
      into.end = entry.offset
      into.entries.set(entry.offset, entry)
    }
    dropUpTo(into, into.end - bound)
    wakeAll()
  }

  /** Reads what no push brought. Where that fails, the next position check begins it again. */
  const catchUp = async () => {
    catchUpAgain = catchingUp
    if (catchingUp || !window) return
    catchingUp = true
    try {
      do {
        catchUpAgain = false
        const { epoch, end } = window
        const page = await logs.read(channel, { epoch, offset: end }, bound)
        const reached = page.entries?.at(-1)?.offset ?? end
        if (page.entries && reached === page.position.offset) add(window, page.entries)
        else if (page.position.epoch !== window.epoch || page.position.offset > window.end)
          reset(page.position)
      } while (catchUpAgain)
    } catch {
    } finally {
      catchingUp = false
    }
  }

  const take = ({ epoch, last, at, entries }: Push, isPush: boolean) => {
    if (!window) {
      missedPush ||= isPush
      return
    }
    const isSameEpoch = epoch === window.epoch
    const first = last - (entries?.length ?? 0) + 1
    if (entries && isSameEpoch && first <= window.end + 1)
      add(
        window,
        entries.map((data, index) => ({ offset: first + index, at, data })),
      )
    else if (isPush && !(isSameEpoch && last <= window.end)) void catchUp()
  }

  return {
    channel,
    opened,
    followers: new Set(),
    holders: 0,
    after({ epoch, offset }, limit) {
      if (window?.epoch !== epoch || offset < window.start) return null
      return entriesAfter(window.entries, offset, limit)
    },
    read(after) {
      const place = `${after.epoch}:${after.offset}`
      const begun = reads.get(place)
      if (begun) return begun
      const page = logs.read(channel, after, batchSize).finally(() => reads.delete(place))
      reads.set(place, page)
      return page
    },
    wait(wake, { untilSync }) {
      wakesOnSync ||= untilSync
      waiting.add(wake)
    },
    unwait: (wake) => void waiting.delete(wake),
    appended: (push) => take(push, false),
    pushed(message) {
      // Most of what comes was appended here, and is not read a second time.
      const { epoch, last } = headOf(message)
      if (!(window?.epoch === epoch && last <= window.end)) take(pushOf(message), true)
    },
    sync({ position, start }) {
      if (window?.epoch !== position.epoch) {
        reset(position)
        if (missedPush) void catchUp()
        missedPush = false
      } else {
        dropUpTo(window, start)
        if (position.offset > window.end) void catchUp()
      }
      if (wakesOnSync) wakeAll()
      wakesOnSync = false
    },
  }
}

function dropUpTo(window: Window, offset: number) {
  while (window.start < Math.min(offset, window.end)) {
    window.start += 1
    window.entries.delete(window.start)
  }
}

function entriesAfter(known: ReadonlyMap<number, Entry>, after: number, limit: number): Entry[] {
  const entries: Entry[] = []
  while (entries.length < limit) {
    const entry = known.get(after + entries.length + 1)
    if (!entry) break
    entries.push(entry)
  }
  return entries
}
