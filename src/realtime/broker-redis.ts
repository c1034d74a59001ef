import type { Broker, BrokerLimits } from './broker.ts'
import { connectRedis, type RedisLog } from './broker-redis-connection.ts'
import { attachFollower } from './broker-redis-follower.ts'
import { createRedisLogs, type Push, scripts } from './broker-redis-log.ts'
import { createReader, type Reader } from './broker-redis-reader.ts'

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

/** How long a push that was lost stays unseen. */
const longestCheckIntervalMs = 1_000
const channelsPerCheck = 200
const channelsPerSubscribe = 500

/**
 * A broker for many nodes: logs live in Redis, pushes come by its pub/sub. Rejects where Redis cannot be reached; once
 * it stood, an outage is waited for. A Redis that restarted, or another that took over, begins every log anew, whatever
 * it kept: what it lacks is not known.
 */
export async function createRedisBroker({
  url,
  keyPrefix,
  log,
  windowEntries = 256,
  ...limits
}: Options): Promise<RedisBroker> {
  const readers = new Map<string, Reader>()
  const channelOfPush = new Map<string, string>()
  let closed = false

  const connection = await connectRedis({
    url,
    scripts,
    log,
    onMessage(name, message) {
      readers.get(channelOfPush.get(name) ?? '')?.pushed(JSON.parse(message) as Push)
    },
    onReconnect() {
      void subscribeAll().then(check)
    },
  })
  const logs = createRedisLogs({ connection, keyPrefix, ...limits })

  const subscribeAll = async () => {
    for (const names of chunksOf([...channelOfPush.keys()], channelsPerSubscribe))
      await connection.subscribe(names)
  }

  /** Heals lost pushes, and keeps followed channels from being forgotten. */
  const checkAll = async () => {
    for (const chunk of chunksOf([...readers.values()], channelsPerCheck)) {
      const standings = await logs.standings(chunk.map(({ channel }) => channel))
      for (const [index, standing] of standings.entries()) {
        const reader = chunk[index]
        if (reader && reader.followers.size > 0) reader.sync(standing)
      }
    }
  }

  let isChecking = false
  const check = async () => {
    if (isChecking || closed) return
    isChecking = true
    // Where Redis is away the connection says so, and the next turn does what this one could not.
    await Promise.allSettled([connection.beat(), checkAll()])
    isChecking = false
  }
  const timer = setInterval(() => void check(), Math.min(longestCheckIntervalMs, limits.maxAgeMs / 4)).unref()

  const hold = (channel: string): Reader => {
    let reader = readers.get(channel)
    if (!reader) {
      const name = logs.pushNameOf(channel)
      channelOfPush.set(name, channel)
      reader = createReader({ channel, logs, windowEntries, opened: connection.subscribe([name]), ...limits })
      readers.set(channel, reader)
    }
    reader.holders += 1
    return reader
  }

  const release = (reader: Reader) => {
    reader.holders -= 1
    if (reader.holders > 0) return
    const name = logs.pushNameOf(reader.channel)
    readers.delete(reader.channel)
    channelOfPush.delete(name)
    connection.unsubscribe(name)
  }

  const refuseClosed = () => {
    if (closed) throw new Error('The broker is closed.')
  }

  return {
    isReachable: connection.isReachable,
    async append(channel, entries, marks = []) {
      refuseClosed()
      const { at, ...appended } = await logs.append(channel, entries, marks)
      const { epoch, offset: last } = appended.position
      if (appended.isAppended && entries.length > 0)
        readers.get(channel)?.appended({ epoch, last, at, entries })
      return appended
    },
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
      const reader = hold(channel)
      try {
        // Where it fails, position checks bring the entries until the connection is back and subscribed.
        await reader.opened
        const standing = await logs.standing(channel)
        refuseClosed()
        reader.sync(standing)
        const { batchSize } = limits
        return attachFollower({ reader, standing, after, batchSize, signal, release: () => release(reader) })
      } catch (error) {
        release(reader)
        throw error
      }
    },
    async close() {
      if (closed) return
      closed = true
      clearInterval(timer)
      for (const reader of [...readers.values()]) for (const end of [...reader.followers]) end()
      await connection.close()
    },
  }
}

function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
