import type { Held, HoldLedger } from '../lib/holds.ts'
import { connectRedis, type RedisLog } from './broker-redis-connection.ts'

type Options = {
  url: string
  keyPrefix: string
  /** Tells this node from others, and from those that had its place before. */
  nodeId: string
  /** Milliseconds for which it counts without a sign of life. */
  leaseMs?: number
  log: RedisLog
}

// KEYS[1] is the sorted set of the nodes by when their leases end, by Redis' clock. The others are a hash each: how many
// each node holds under a key. ARGV: 1 the node, 2 its lease in milliseconds, 3 for how long a key is kept.
const opening = `
local nodes, node = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = tonumber(redis.call('ZSCORE', nodes, node) or 0) > now
redis.call('ZADD', nodes, string.format('%.0f', now + ARGV[2]), node)
redis.call('PEXPIRE', nodes, ARGV[3])

local function hold(key, count)
  if tonumber(count) > 0 then redis.call('HSET', key, node, count) else redis.call('HDEL', key, node) end
  redis.call('PEXPIRE', key, ARGV[3])
end
`

/** Then for each key how many are wanted here and how many there may be in all. Gives the first that is full, or -1. */
const takeScript = `${opening}
for index = 2, #KEYS do
  local held = redis.call('HGETALL', KEYS[index])
  local sum = tonumber(ARGV[index * 2])
  for field = 1, #held, 2 do
    if tonumber(redis.call('ZSCORE', nodes, held[field]) or 0) <= now then
      redis.call('HDEL', KEYS[index], held[field])
    elseif held[field] ~= node then
      sum = sum + held[field + 1]
    end
  end
  if sum > tonumber(ARGV[index * 2 + 1]) then return index - 2 end
end
for index = 2, #KEYS do hold(KEYS[index], ARGV[index * 2]) end
return -1
`

/** Then how many are held under each key. */
const tellScript = `${opening}
for index = 2, #KEYS do hold(KEYS[index], ARGV[index + 2]) end
`

/** Gives 1 where the lease had ended, so that others may have dropped what this node held. */
const renewScript = `${opening}
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', string.format('%.0f', now))
return known and 0 or 1
`

const leaveScript = `redis.call('ZREM', KEYS[1], ARGV[1])`

const scripts = {
  parleyTake: takeScript,
  parleyTell: tellScript,
  parleyRenew: renewScript,
  parleyLeave: leaveScript,
}
const keysPerCall = 500
const leaseKept = 60

/** Counts of all nodes together. Its functions reject where Redis cannot be reached. */
export async function createRedisHoldLedger({
  url,
  keyPrefix,
  nodeId,
  leaseMs = 15_000,
  log,
}: Options): Promise<HoldLedger & { close(): Promise<void> }> {
  const connection = await connectRedis({ url, scripts, log, onMessage() {}, onReconnect() {} })
  const nodes = `${keyPrefix}nodes`
  const run = (script: keyof typeof scripts, held: readonly Held[], args: readonly number[]) =>
    connection.run(
      script,
      [nodes, ...held.map(({ key }) => `${keyPrefix}held:${key}`)],
      [nodeId, leaseMs, leaseKept * leaseMs, ...args],
    )
  return {
    take: async (wanted) =>
      Number(
        await run(
          'parleyTake',
          wanted,
          wanted.flatMap(({ count, atMost }) => [count, atMost]),
        ),
      ),
    async tell(held) {
      for (let start = 0; start < held.length; start += keysPerCall) {
        const chunk = held.slice(start, start + keysPerCall)
        await run(
          'parleyTell',
          chunk,
          chunk.map(({ count }) => count),
        )
      }
    },
    renew: async () => (await run('parleyRenew', [], [])) === 1,
    async close() {
      // What it held is free at once.
      await connection.run('parleyLeave', [nodes], [nodeId]).catch(() => {})
      await connection.close()
    },
  }
}
