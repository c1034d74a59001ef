import type { RateLedger } from '../lib/rates.ts'
import { connectRedis, type RedisLog } from './broker-redis-connection.ts'

type Options = { url: string; keyPrefix: string; log: RedisLog }

/**
 * KEYS hold when what was taken under them is paid back, by Redis' clock, and end then. ARGV: the milliseconds that each
 * is spent by. Gives how many milliseconds each is ahead of now.
 */
const settleScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local answer = {}
for index, key in ipairs(KEYS) do
  local paid = math.max(tonumber(redis.call('GET', key) or 0), now) + ARGV[index]
  redis.call('SET', key, string.format('%.0f', paid), 'PX', string.format('%.0f', math.max(paid - now, 1)))
  answer[index] = string.format('%.0f', paid - now)
end
return answer
`

const usesPerCall = 500

/** Counts of all nodes together. Rejects where Redis cannot be reached. */
export async function createRedisRateLedger({
  url,
  keyPrefix,
  log,
}: Options): Promise<RateLedger & { close(): Promise<void> }> {
  const scripts = { parleyRates: settleScript }
  const connection = await connectRedis({ url, scripts, log, onMessage() {}, onReconnect() {} })
  return {
    async settle(uses) {
      const ahead: number[] = []
      for (let start = 0; start < uses.length; start += usesPerCall) {
        const chunk = uses.slice(start, start + usesPerCall)
        const keys = chunk.map(({ key }) => `${keyPrefix}rate:${key}`)
        const spent = chunk.map(({ spentMs }) => spentMs)
        ahead.push(...((await connection.run('parleyRates', keys, spent)) as string[]).map(Number))
      }
      return ahead
    },
    close: () => connection.close(),
  }
}
