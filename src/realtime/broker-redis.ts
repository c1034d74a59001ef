import type { Broker, BrokerLimits } from './broker.ts'
import { connectRedis, type RedisConnection, type RedisLog } from './broker-redis-connection.ts'
import { attachFollower } from './broker-redis-follower.ts'
import { createRedisLogs, type RedisLogs, scripts } from './broker-redis-log.ts'
import { createReaders } from './broker-redis-readers.ts'

export type RedisBroker = Broker & {
  /** False while Redis is away: calls fail, followers wait. */
  isReachable(): boolean
}

type Options = BrokerLimits & {
  /** redis:// or rediss:// */
  url: string
  /** Before every key; without braces. */
  keyPrefix: string
  log: RedisLog
  /** Entries of a followed channel that this node keeps at most; 256 by default. */
  windowEntries?: number
}

const trialChannel = 'trial'

/**
 * A broker for many nodes: logs live in Redis, pushes come by its pub/sub. Rejects where Redis cannot be reached; once
 * it stood, an outage is waited for. A Redis that restarted, or another that took over, begins every log anew, whatever
 * it kept: what it lacks is not known.
 */
export async function createRedisBroker(options: Options): Promise<RedisBroker> {
  const { url, keyPrefix, log, windowEntries = 256, maxEntries, maxAgeMs, batchSize } = options
  const connection = await connectRedis({
    url,
    scripts,
    log,
    onMessage: (name, message) => readers.deliver(name, message),
    onReconnect: () => void readers.resubscribe(),
  })
  const logs = createRedisLogs({ connection, keyPrefix, maxEntries, maxAgeMs })
  const readers = createReaders({ connection, logs, windowEntries, maxEntries, maxAgeMs, batchSize })
  let closed = false

  const close = async () => {
    if (closed) return
    closed = true
    readers.close()
    await connection.close()
  }
  const refuseClosed = () => {
    if (closed) throw new Error('The broker is closed.')
  }

  try {
    await tryOut(connection, logs)
  } catch (error) {
    await close()
    throw error
  }

  return {
    isReachable: connection.isReachable,
    async append(channel, entries, marks = []) {
      refuseClosed()
      const { at, ...appended } = await logs.append(channel, entries, marks)
      const { epoch, offset: last } = appended.position
      if (appended.isAppended && entries.length > 0)
        readers.find(channel)?.appended({ epoch, last, at, entries })
      return appended
    },
    // By other nodes, and by readers that come back to this one from elsewhere.
    isUsed: () => true,
    async position(channel) {
      refuseClosed()
      return (await logs.standing(channel)).position
    },
    async read(channel, after, limit) {
      refuseClosed()
      return (await logs.read(channel, after, limit)).entries
    },
    async tail(channel, limit) {
      refuseClosed()
      return logs.tail(channel, limit)
    },
    async follow(channel, { after, signal }) {
      refuseClosed()
      const reader = readers.hold(channel)
      const release = () => readers.release(reader)
      try {
        await reader.opened
        const standing = await logs.standing(channel)
        refuseClosed()
        reader.sync(standing)
        return attachFollower({ reader, standing, after, batchSize, signal, release })
      } catch (error) {
        release()
        throw error
      }
    },
    close,
  }
}

/** What the user of the address may not do shows at the start, not halfway through an append. */
async function tryOut(connection: RedisConnection, logs: RedisLogs) {
  const pushName = logs.pushNameOf(trialChannel)
  await connection.subscribe([pushName])
  connection.unsubscribe(pushName)
  await logs.append(trialChannel, ['start'], [])
}
