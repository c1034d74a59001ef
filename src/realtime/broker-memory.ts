import { randomBytes } from 'node:crypto'
import { ended, iteratePolled } from '../lib/polled.ts'
import type { Broker, BrokerLimits, Entry, FollowItem, Following, Mark, Marks, Position } from './broker.ts'

/** One life of a channel. The offsets in `entries` are consecutive and end with `last`. */
type Log = {
  readonly epoch: string
  readonly entries: Map<number, Entry>
  readonly marks: Map<string, number>
  last: number
  usedAtMs: number
  readonly followers: Set<Follower>
  /** Those that have read everything and wait for more. */
  readonly waiting: Set<Follower>
}

type Follower = { wake: (() => void) | null; close(): void }

const maxSweepIntervalMs = 60_000

/** A broker for a single node: its logs live in this process and end with it. */
export function createMemoryBroker({ maxEntries, maxAgeMs, batchSize }: BrokerLimits): Broker {
  const logs = new Map<string, Log>()
  let closed = false

  const use = (channel: string): Log => {
    if (closed) throw new Error('The broker is closed.')
    const log = logs.get(channel) ?? createLog()
    logs.set(channel, log)
    log.usedAtMs = Date.now()
    return log
  }

  const sweep = () => {
    const oldestMs = Date.now() - maxAgeMs
    for (const [channel, log] of logs) {
      trim(log, maxEntries, oldestMs)
      if (log.followers.size === 0 && log.usedAtMs < oldestMs) logs.delete(channel)
    }
  }
  const sweeping = setInterval(sweep, Math.min(maxAgeMs, maxSweepIntervalMs)).unref()

  return {
    async append(channel, entries, marks = []) {
      const log = use(channel)
      const at = Date.now()
      const isAppended = areMet(log, marks)
      if (!isAppended) return { position: endOf(log), isAppended, marks: marksOf(log, marks) }
      for (const { name, to } of marks) {
        if (to === null) log.marks.delete(name)
        else if (to !== undefined) log.marks.set(name, to)
      }
      for (const data of entries) {
        log.last += 1
        log.entries.set(log.last, { offset: log.last, at, data })
      }
      trim(log, maxEntries, at - maxAgeMs)
      if (entries.length > 0) wakeAll(log)
      return { position: endOf(log), isAppended, marks: marksOf(log, marks) }
    },
    async position(channel) {
      return endOf(use(channel))
    },
    async read(channel, after, limit) {
      const log = use(channel)
      return reachesBackTo(log, after) ? entriesAfter(log, after.offset, limit) : null
    },
    async tail(channel, limit) {
      const log = use(channel)
      const before = log.last - Math.min(limit, log.entries.size)
      const entries = entriesAfter(log, before, limit)
      return { entries, position: endOf(log), marks: Object.fromEntries(log.marks) }
    },
    async follow(channel, { after, signal }) {
      return attach(use(channel), after, batchSize, signal)
    },
    async close() {
      closed = true
      clearInterval(sweeping)
      for (const log of logs.values()) for (const { close } of [...log.followers]) close()
      logs.clear()
    },
  }
}

function attach(
  log: Log,
  after: Position | undefined,
  batchSize: number,
  signal: AbortSignal | undefined,
): Following {
  const isResumed = after !== undefined && reachesBackTo(log, after)
  let position = isResumed ? after : endOf(log)
  let isGapDue = after !== undefined && !isResumed

  const take = (): FollowItem | null => {
    if (!isGapDue && !reachesBackTo(log, position)) {
      position = endOf(log)
      isGapDue = true
    }
    if (isGapDue) {
      isGapDue = false
      return { type: 'gap', position }
    }
    if (position.offset === log.last) return null
    const entries = entriesAfter(log, position.offset, batchSize)
    position = { epoch: log.epoch, offset: position.offset + entries.length }
    return { type: 'entries', epoch: log.epoch, entries }
  }

  const follower: Follower = {
    wake: null,
    close() {
      signal?.removeEventListener('abort', follower.close)
      if (!log.followers.delete(follower)) return
      log.usedAtMs = Date.now()
      if (log.waiting.delete(follower)) follower.wake?.()
    },
  }
  log.followers.add(follower)
  signal?.addEventListener('abort', follower.close)
  if (signal?.aborted) follower.close()

  return {
    position,
    poll(wake) {
      if (!log.followers.has(follower)) return ended
      const item = take()
      if (item) return { value: item }
      follower.wake = wake
      log.waiting.add(follower)
      return null
    },
    close: follower.close,
    [Symbol.asyncIterator]: iteratePolled,
  }
}

function wakeAll(log: Log) {
  if (log.waiting.size === 0) return
  const woken = [...log.waiting]
  log.waiting.clear()
  for (const { wake } of woken) wake?.()
}

// 9 bytes make 12 characters without padding.
const createLog = (): Log => ({
  epoch: randomBytes(9).toString('base64url'),
  entries: new Map(),
  marks: new Map(),
  last: 0,
  usedAtMs: 0,
  followers: new Set(),
  waiting: new Set(),
})

const endOf = (log: Log): Position => ({ epoch: log.epoch, offset: log.last })

function areMet(log: Log, marks: readonly Mark[]): boolean {
  for (const { name, min = -Infinity, max = Infinity } of marks) {
    const value = log.marks.get(name)
    if (value !== undefined && (value < min || value > max)) return false
  }
  return true
}

function marksOf(log: Log, named: readonly Mark[]): Marks {
  const marks: Record<string, number> = {}
  for (const { name } of named) {
    const value = log.marks.get(name)
    if (value !== undefined) marks[name] = value
  }
  return marks
}

const reachesBackTo = (log: Log, { epoch, offset }: Position) =>
  epoch === log.epoch && offset >= log.last - log.entries.size && offset <= log.last

function entriesAfter(log: Log, after: number, limit: number): Entry[] {
  const entries: Entry[] = []
  while (entries.length < limit) {
    const entry = log.entries.get(after + entries.length + 1)
    if (!entry) break
    entries.push(entry)
  }
  return entries
}

function trim(log: Log, maxEntries: number, oldestMs: number) {
  for (;;) {
    const oldest = log.entries.get(log.last - log.entries.size + 1)
    if (!oldest || (log.entries.size <= maxEntries && oldest.at >= oldestMs)) return
    log.entries.delete(oldest.offset)
  }
}
