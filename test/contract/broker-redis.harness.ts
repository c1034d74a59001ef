import { afterEach, beforeAll, beforeEach, vi } from 'vitest'
import type { Broker, BrokerLimits, FollowItem, JsonValue, Position } from '../../src/realtime/broker.ts'
import { createRedisBroker, type RedisBroker } from '../../src/realtime/broker-redis.ts'
import { patience } from '../support/patience.ts'
import { requireRedis, startRedis, type TestRedis } from '../support/redis.ts'
import { channel, iterate, never } from './broker.harness.ts'

export const keyPrefix = 'test:'

type Node = RedisBroker & {
  /** What was told to the operator, by message. */
  readonly told: string[]
}

/** A Redis of the file's own, emptied before each test, and brokers on it that are closed after each. */
export function useRedisNodes() {
  const open: Broker[] = []
  let redis: TestRedis | undefined
  const isInstalled = requireRedis()
  beforeAll(async () => {
    if (isInstalled) redis = await startRedis()
  })
  beforeEach(async () => {
    // A test that failed may have left it dead.
    await redis?.start()
    await redis?.admin.flushall()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((broker) => broker.close()))
  })
  const server = () => {
    if (!redis) throw new Error('There is no Redis yet.')
    return redis
  }

  return {
    redis: server,
    async startNode(options: Partial<BrokerLimits> & { windowEntries?: number } = {}): Promise<Node> {
      const told: string[] = []
      const tell = (_fields: object, message: string) => void told.push(message)
      const limits = { maxEntries: 1_000, maxAgeMs: 60_000, batchSize: 10 }
      const log = { info: tell, warn: tell }
      const broker = await createRedisBroker({ url: server().url, keyPrefix, log, ...limits, ...options })
      open.push(broker)
      return { ...broker, told }
    },
  }
}

/** Follows, reads on and on, and keeps what came. */
export async function collect(broker: Broker, after?: Position) {
  const reader = iterate(await broker.follow(channel, { ...(after && { after }), signal: never }))
  const items: FollowItem[] = []
  const reading = (async () => {
    for (;;) {
      const { value, done } = await reader.next()
      if (done) return
      items.push(value)
    }
  })()
  const data = () =>
    items.flatMap((item): JsonValue[] =>
      item.type === 'gap' ? ['gap'] : item.entries.map((entry) => entry.data),
    )
  return {
    items,
    /** Of all entries in turn; `gap` for each gap. */
    data,
    /** Resolves when this entry has come. */
    until: (value: JsonValue, timeoutMs = patience.timeout) =>
      vi.waitUntil(() => data().includes(value), { timeout: timeoutMs, interval: 5 }),
    async end() {
      await reader.return?.()
      await reading
    },
  }
}

/** Appends until it succeeds, as a producer that must get its word out. */
export const appendAtLast = (broker: Broker, value: JsonValue) =>
  vi.waitFor(() => broker.append(channel, [value]), patience)
