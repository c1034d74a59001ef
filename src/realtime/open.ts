import type { Config } from '../config.ts'
import type { Broker } from './broker.ts'
import { createMemoryBroker } from './broker-memory.ts'
import type { RedisLog } from './broker-redis-connection.ts'
import type { PresenceStore } from './presence.ts'
import { createMemoryPresence } from './presence-memory.ts'

/** What nodes share, in Redis where one is set and in this process where none is. */
export type Shared = {
  readonly broker: Broker
  readonly presence: PresenceStore
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
    return closable('MEMORY', broker, createMemoryPresence({ memoryMs }), () => true)
  }
  // Loaded where it is used: one node alone starts without it.
  const { createRedisBroker } = await import('./broker-redis.ts')
  const { createRedisPresence } = await import('./presence-redis.ts')
  const address = { url: redis.url, keyPrefix: redis.keyPrefix }
  const broker = await createRedisBroker({ ...limits, ...address, log })
  try {
    // That Redis is away, or back, is told by the broker.
    const silent = { info() {}, warn() {} }
    const presence = await createRedisPresence({ ...address, memoryMs, log: silent })
    return closable('REDIS', broker, presence, broker.isReachable)
  } catch (error) {
    await broker.close()
    throw error
  }
}

const closable = (
  kind: Shared['kind'],
  broker: Broker,
  presence: PresenceStore,
  isReachable: () => boolean,
): Shared => ({
  kind,
  broker,
  presence,
  isReachable,
  close: async () => void (await Promise.all([broker.close(), presence.close()])),
})
