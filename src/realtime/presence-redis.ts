import { connectRedis, type RedisLog } from './broker-redis-connection.ts'
import type { Lease, PresenceStore } from './presence.ts'

type Options = {
  /** redis:// or rediss:// */
  url: string
  /** Before every key; without braces. */
  keyPrefix: string
  memoryMs: number
  log: RedisLog
}

const placesPerCall = 200

const opening = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The users of each activity, sorted and each once, and how many are present. Members are activity|user|holder.
local function occupants(who, from)
  local users, seen = { present = {}, typing = {} }, {}
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', who, from, '+inf')) do
    local activity, user = string.match(member, '^(%a+)|([^|]+)|')
    if not seen[activity .. user] then table.insert(users[activity], user) end
    seen[activity .. user] = true
  end
  table.sort(users.present)
  table.sort(users.typing)
  return { present = table.concat(users.present, ','), typing = table.concat(users.typing, ',') }, #users.present
end
`

/**
 * KEYS are pairs: the sorted set \`who\` of a place, its leases by when they end, and the hash \`told\` of its versions.
 * ARGV: 1 memoryMs, then for each place how many leases, and member and ttlMs of each. Gives five for each place, flat:
 * who is present, who types, both versions, and how long the first lease lasts (-1: there is none).
 */
const exchangeScript = `${opening}
local answer, arg = {}, 2
for key = 1, #KEYS, 2 do
  local who, told = KEYS[key], KEYS[key + 1]
  local before = occupants(who, '-inf')
  redis.call('ZREMRANGEBYSCORE', who, '-inf', now)
  for lease = 1, tonumber(ARGV[arg]) do
    local member, ttl = ARGV[arg + lease * 2 - 1], tonumber(ARGV[arg + lease * 2])
    if ttl > 0 then redis.call('ZADD', who, now + ttl, member) else redis.call('ZREM', who, member) end
  end
  arg = arg + 1 + 2 * ARGV[arg]
  local after, present = occupants(who, '(' .. string.format('%.0f', now))
  local versions = redis.call('HMGET', told, 'present', 'typing')
  for index, activity in ipairs({ 'present', 'typing' }) do
    local isWorthIt = activity == 'typing' or present > 1 or versions[1]
    if before[activity] ~= after[activity] and isWorthIt then
      versions[index] = string.format('%.0f', math.max((versions[index] or 0) + 1, now))
      redis.call('HSET', told, activity, versions[index])
    end
  end
  -- What was told must be untold when its leases are over, so they are kept for as long as that is known.
  local first = redis.call('ZRANGE', who, 0, 0, 'WITHSCORES')[2]
  local last = redis.call('ZRANGE', who, -1, -1, 'WITHSCORES')[2]
  local keptUntil = math.max(tonumber(last or 0), (versions[1] or versions[2]) and now + ARGV[1] or 0)
  redis.call('PEXPIREAT', who, string.format('%.0f', keptUntil))
  redis.call('PEXPIREAT', told, string.format('%.0f', keptUntil))
  table.insert(answer, after.present)
  table.insert(answer, after.typing)
  table.insert(answer, versions[1] or 0)
  table.insert(answer, versions[2] or 0)
  table.insert(answer, first and first - now or -1)
end
return answer
`

/** KEYS are the sorted sets alone. Gives who is present and who types of each, flat. */
const readScript = `${opening}
local answer = {}
for _, who in ipairs(KEYS) do
  local users = occupants(who, '(' .. string.format('%.0f', now))
  table.insert(answer, users.present)
  table.insert(answer, users.typing)
end
return answer
`

const scripts = { parleyPresence: exchangeScript, parleyOccupants: readScript }

/** Presence for many nodes: leases live in Redis and end by its clock. Rejects where Redis cannot be reached. */
export async function createRedisPresence({
  url,
  keyPrefix,
  memoryMs,
  log,
}: Options): Promise<PresenceStore> {
  const connection = await connectRedis({ url, scripts, log, onMessage() {}, onReconnect() {} })
  const whoOf = (place: string) => `${keyPrefix}{${place}}:who`
  const toldOf = (place: string) => `${keyPrefix}{${place}}:told`

  return {
    async exchange(updates) {
      const answers = await inChunks(updates, async (chunk) => {
        const keys = chunk.flatMap(({ place }) => [whoOf(place), toldOf(place)])
        const leases = chunk.flatMap((update) => [
          update.leases.length,
          ...update.leases.flatMap(argumentsOf),
        ])
        return connection.run('parleyPresence', keys, [memoryMs, ...leases])
      })
      return rowsOf(answers, 5).map(([present, typing, presentVersion, typingVersion, next]) => ({
        present: usersOf(present),
        typing: usersOf(typing),
        versions: { present: Number(presentVersion), typing: Number(typingVersion) },
        nextEndMs: Number(next) < 0 ? null : Number(next),
      }))
    },
    async read(places) {
      const answers = await inChunks(places, (chunk) =>
        connection.run('parleyOccupants', chunk.map(whoOf), []),
      )
      return rowsOf(answers, 2).map(([present, typing]) => ({
        present: usersOf(present),
        typing: usersOf(typing),
      }))
    },
    close: () => connection.close(),
  }
}

type Answer = string | number

const argumentsOf = ({ activity, userId, holder, ttlMs }: Lease) => [`${activity}|${userId}|${holder}`, ttlMs]

const usersOf = (text: Answer | undefined) => (text ? String(text).split(',') : [])

async function inChunks<Item>(items: readonly Item[], run: (chunk: readonly Item[]) => Promise<unknown>) {
  const answers: Answer[] = []
  for (let start = 0; start < items.length; start += placesPerCall)
    answers.push(...((await run(items.slice(start, start + placesPerCall))) as Answer[]))
  return answers
}

function rowsOf(flat: readonly Answer[], width: number): Answer[][] {
  const rows: Answer[][] = []
  for (let start = 0; start < flat.length; start += width) rows.push(flat.slice(start, start + width))
  return rows
}
