import type { BrokerLimits } from './broker.ts'
import type { RedisConnection } from './broker-redis-connection.ts'
import type { RedisLogs } from './broker-redis-log.ts'
import { createReader, type Reader } from './broker-redis-reader.ts'

/** The readers of a node: one per channel that is followed here, however many follow. */
export type Readers = {
  find(channel: string): Reader | undefined
  /** The channel's reader, kept until `release` was called as often. */
  hold(channel: string): Reader
  release(reader: Reader): void
  /** Hands a message of pub/sub to its reader. */
  deliver(pushName: string, message: string): void
  /** Subscribes every reader anew, and catches up with what came meanwhile. */
  resubscribe(): Promise<void>
  /** Ends every follower. */
  close(): void
}

type Options = BrokerLimits & { connection: RedisConnection; logs: RedisLogs; windowEntries: number }

/** How long a push that was lost stays unseen. */
const longestCheckIntervalMs = 1_000
const channelsPerCheck = 200
const channelsPerSubscribe = 500

export function createReaders({ connection, logs, windowEntries, ...limits }: Options): Readers {
  const readers = new Map<string, Reader>()
  const channelOfPush = new Map<string, string>()

  /** Where it fails, position checks bring the entries until the connection is back once more. */
  const subscribe = (names: readonly string[]) => connection.subscribe(names).catch(() => {})

  /** Heals lost pushes, and keeps followed channels from being forgotten. */
  const checkPositions = async () => {
    for (const chunk of chunksOf([...readers.values()], channelsPerCheck)) {
      const standings = await logs.standings(chunk.map(({ channel }) => channel))
      for (const [index, standing] of standings.entries()) {
        const reader = chunk[index]
        // One that opens asks for its position itself, once it is subscribed.
        if (reader && reader.followers.size > 0) reader.sync(standing)
      }
    }
  }

  let isChecking = false
  const check = async () => {
    if (isChecking) return
    isChecking = true
    // Where Redis is away the connection says so, and the next turn does what this one could not.
    await Promise.allSettled([connection.beat(), checkPositions()])
    isChecking = false
  }
  const intervalMs = Math.min(longestCheckIntervalMs, limits.maxAgeMs / 4)
  const timer = setInterval(() => void check(), intervalMs).unref()

  return {
    find: (channel) => readers.get(channel),
    hold(channel) {
      let reader = readers.get(channel)
      if (!reader) {
        const name = logs.pushNameOf(channel)
        channelOfPush.set(name, channel)
        reader = createReader({ channel, logs, windowEntries, opened: subscribe([name]), ...limits })
        readers.set(channel, reader)
      }
      reader.holders += 1
      return reader
    },
    release(reader) {
      reader.holders -= 1
      if (reader.holders > 0) return
      const name = logs.pushNameOf(reader.channel)
      readers.delete(reader.channel)
      channelOfPush.delete(name)
      connection.unsubscribe(name)
    },
    deliver(pushName, message) {
      readers.get(channelOfPush.get(pushName) ?? '')?.pushed(message)
    },
    async resubscribe() {
      for (const names of chunksOf([...channelOfPush.keys()], channelsPerSubscribe)) await subscribe(names)
      await check()
    },
    close() {
      clearInterval(timer)
      for (const reader of [...readers.values()]) for (const end of [...reader.followers]) end()
    },
  }
}

function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
