import { randomUUID } from 'node:crypto'
import type { Config } from '../config.ts'
import type { HoldLedger } from '../lib/holds.ts'
import type { RateLedger } from '../lib/rates.ts'
import type { Broker } from './broker.ts'
import { createMemoryBroker } from './broker-memory.ts'
import type { RedisLog } from './broker-redis-connection.ts'
import type { PresenceStore } from './presence.ts'
import { createMemoryPresence } from './presence-memory.ts'

/** What nodes share, in Redis where one is set and in this process where none is. */
export type Shared = {
  readonly broker: Broker
  readonly presence: PresenceStore
  /** Absent where one node counts for itself. */
  readonly rateLedger: RateLedger | null
  readonly holdLedger: HoldLedger | null
  readonly kind: 'MEMORY' | 'REDIS'
  /** False while Redis is away. */
  isReachable(): boolean
  close(): Promise<void>
}

const batchSize = 300

/** Rejects where the Redis that is set cannot be reached. */
export async function openShared({ redis, feed }: Config, log: RedisLog): Promise<Shared> {
  const limits = { ...feed, batchSize }
  // No entry of a feed is older than this, so nobody resumes from further back.
  const memoryMs = 2 * feed.maxAgeMs
  if (!redis.url) {
    const broker = createMemoryBroker(limits)
    const presence = createMemoryPresence({ memoryMs })
    const parts = { broker, presence, rateLedger: null, holdLedger: null }
    return { ...parts, kind: 'MEMORY', isReachable: () => true, close: () => closeAll([broker, presence]) }
  }
  // Loaded where they are used: one node alone starts without them.
  const { createRedisBroker } = await import('./broker-redis.ts')
  const { createRedisPresence } = await import('./presence-redis.ts')
  const { createRedisHoldLedger } = await import('./holds-redis.ts')
  const { createRedisRateLedger } = await import('./rates-redis.ts')
  const address = { url: redis.url, keyPrefix: redis.keyPrefix }
  // That Redis is away, or back, is told by the broker.
  const silent = { info() {}, warn() {} }
  const opened: Closable[] = []
  const keep = <Part extends Closable>(part: Part) => {
    opened.push(part)
    return part
  }
  try {
    const broker = keep(await createRedisBroker({ ...limits, ...address, log }))
    const presence = keep(await createRedisPresence({ ...address, memoryMs, log: silent }))
    const rateLedger = keep(await createRedisRateLedger({ ...address, log: silent }))
    const nodeId = randomUUID()
    const holdLedger = keep(await createRedisHoldLedger({ ...address, nodeId, log: silent }))
    const parts = { broker, presence, rateLedger, holdLedger }
    return { ...parts, kind: 'REDIS', isReachable: broker.isReachable, close: () => closeAll(opened) }
  } catch (error) {
    await closeAll(opened)
    throw error
  }
}

type Closable = { close(): Promise<void> }

const closeAll = async (parts: readonly Closable[]) =>
  void (await Promise.all(parts.map((part) => part.close())))
