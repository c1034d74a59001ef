import { randomBytes } from 'node:crypto'
import { ended, iteratePolled } from '../lib/polled.ts'
import { SmallSet } from '../lib/small-set.ts'
import type {
  Broker,
  BrokerLimits,
  Entry,
  FollowItem,
  Following,
  JsonValue,
  Mark,
  MarkValues,
  Position,
} from './broker.ts'

/**
 * One life of a channel. Its entries are what was appended (`data`) and when (`times`), of which the last is at offset
 * `last` and the first `dropped` are trimmed: an object for each would be as much again as a word of a reply.
 */
type Log = {
  readonly epoch: string
  readonly data: JsonValue[]
  readonly times: number[]
  dropped: number
  /** Made with the first. */
  marks: Map<string, number> | null
  last: number
  usedAtMs: number
  readonly followers: SmallSet<Follower>
}

const maxSweepIntervalMs = 60_000

/** A broker for a single node: its logs live in this process and end with it. */
export function createMemoryBroker({ maxEntries, maxAgeMs, batchSize }: BrokerLimits): Broker {
  const logs = new Map<string, Log>()
  let closed = false

  const use = (channel: string): Log => {
    if (closed) throw closedError()
    const known = logs.get(channel)
    const log = known ?? createLog()
    if (!known) logs.set(channel, log)
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
    append(channel, entries, marks = []) {
      if (closed) return Promise.reject(closedError())
      const log = use(channel)
      const values = marks.map(({ name }) => log.marks?.get(name))
      const isAppended = areMet(marks, values)
      if (!isAppended) return { position: endOf(log), isAppended, marks: values }
      move(log, marks, values)
      const at = log.usedAtMs
      for (const value of entries) {
        log.data.push(value)
        log.times.push(at)
      }
      log.last += entries.length
      trim(log, maxEntries, at - maxAgeMs)
      if (entries.length > 0) log.followers.forEach(wakeUp)
      return { position: endOf(log), isAppended, marks: values }
    },
    isUsed: (channel) => logs.has(channel),
    async position(channel) {
      return endOf(use(channel))
    },
    async read(channel, after, limit) {
      const log = use(channel)
      return reachesBackTo(log, after) ? entriesAfter(log, after.offset, limit) : null
    },
    async tail(channel, limit) {
      const log = use(channel)
      const before = log.last - Math.min(limit, keptOf(log))
      const entries = entriesAfter(log, before, limit)
      return { entries, position: endOf(log), marks: Object.fromEntries(log.marks ?? []) }
    },
    async follow(channel, { after, signal }) {
      return new Follower(use(channel), after, batchSize, signal)
    },
    async close() {
      closed = true
      clearInterval(sweeping)
      for (const log of logs.values()) for (const follower of [...log.followers]) follower.close()
      logs.clear()
    },
  }
}

/** A class, since there are as many as idle readers: closures take four times the memory. */
class Follower implements Following {
  readonly position: Position
  /** There while it has read everything and waits for more. */
  private wake: (() => void) | null = null
  private readonly log: Log
  private readonly batchSize: number
  private readonly signal: AbortSignal | undefined
  /** Up to where it has read. */
  private offset: number
  private isGapDue: boolean

  constructor(log: Log, after: Position | undefined, batchSize: number, signal: AbortSignal | undefined) {
    const isResumed = after !== undefined && reachesBackTo(log, after)
    this.log = log
    this.batchSize = batchSize
    this.signal = signal
    this.position = isResumed ? after : endOf(log)
    this.offset = this.position.offset
    this.isGapDue = after !== undefined && !isResumed
    log.followers.add(this)
    signal?.addEventListener('abort', this)
    if (signal?.aborted) this.close()
  }

  poll(wake: () => void): IteratorResult<FollowItem, undefined> | null {
    if (!this.log.followers.has(this)) return ended
    const item = this.take()
    if (item) return { value: item }
    this.wake = wake
    return null
  }

  /** Of the signal. */
  handleEvent(): void {
    this.close()
  }

  close(): void {
    this.signal?.removeEventListener('abort', this)
    if (!this.log.followers.delete(this)) return
    this.log.usedAtMs = Date.now()
    this.wakeUp()
  }

  wakeUp(): void {
    const { wake } = this
    this.wake = null
    wake?.()
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<FollowItem, undefined> {
    return iteratePolled.call(this) as AsyncIterableIterator<FollowItem, undefined>
  }

  private take(): FollowItem | null {
    const { log } = this
    const { epoch } = log
    if (!this.isGapDue && !reachesBackTo(log, { epoch, offset: this.offset })) {
      this.offset = log.last
      this.isGapDue = true
    }
    if (this.isGapDue) {
      this.isGapDue = false
      return { type: 'gap', position: { epoch, offset: this.offset } }
    }
    if (this.offset === log.last) return null
    const entries = entriesAfter(log, this.offset, this.batchSize)
    this.offset += entries.length
    return { type: 'entries', epoch, entries }
  }
}

const wakeUp = (follower: Follower) => follower.wakeUp()

// 9 bytes make 12 characters without padding.
const createLog = (): Log => ({
  epoch: randomBytes(9).toString('base64url'),
  data: [],
  times: [],
  dropped: 0,
  marks: null,
  last: 0,
  usedAtMs: 0,
  followers: new SmallSet(),
})

const closedError = () => new Error('The broker is closed.')

const endOf = (log: Log): Position => ({ epoch: log.epoch, offset: log.last })

function areMet(marks: readonly Mark[], values: MarkValues): boolean {
  return marks.every(({ min = -Infinity, max = Infinity }, index) => {
    const value = values[index]
    return value === undefined || (value >= min && value <= max)
  })
}

/** `values` become those that the marks have then. */
function move(log: Log, marks: readonly Mark[], values: (number | undefined)[]) {
  marks.forEach(({ name, to }, index) => {
    if (to === undefined) return
    values[index] = to ?? undefined
    if (to === null) log.marks?.delete(name)
    else log.marks = (log.marks ?? new Map()).set(name, to)
  })
}

const keptOf = ({ data, dropped }: Log) => data.length - dropped

const reachesBackTo = (log: Log, { epoch, offset }: Position) =>
  epoch === log.epoch && offset >= log.last - keptOf(log) && offset <= log.last

function entriesAfter(log: Log, after: number, limit: number): Entry[] {
  const { data, times, last } = log
  const from = data.length - (last - after)
  return data
    .slice(from, from + limit)
    .map((value, index) => ({ offset: after + 1 + index, at: times[from + index] as number, data: value }))
}

function trim(log: Log, maxEntries: number, oldestMs: number) {
  const { data, times } = log
  for (;;) {
    const oldest = times[log.dropped]
    if (oldest === undefined || (keptOf(log) <= maxEntries && oldest >= oldestMs)) break
    log.dropped += 1
  }
  // Moving the rest up each time would cost every append as much as the log is long.
  if (log.dropped * 4 < data.length) return
  data.splice(0, log.dropped)
  times.splice(0, log.dropped)
  log.dropped = 0
}
