/**
 * What Redis does in one step each, in Lua. KEYS are pairs: the hash `meta` of a channel (epoch, last, run, and
 * `mark:<name>` for each mark) and its stream `log`, whose entries have the id `<offset>-0` and the fields at, data.
 * ARGV begins with the same three everywhere: an epoch for a channel that begins, the server's run, and maxAgeMs.
 */

const opening = `
-- Where the channel stands. It begins where it is not known, and where another run of the server wrote it: what a
-- server has after a restart or a failover may lack the newest entries, which followers have seen already.
-- The hash outlives the stream, so that entries never stand without their epoch.
local function open(meta, log)
  local known = redis.call('HMGET', meta, 'epoch', 'last', 'run')
  local epoch, last = known[1], tonumber(known[2] or 0)
  if not epoch or known[3] ~= ARGV[2] then
    redis.call('DEL', meta, log)
    redis.call('HSET', meta, 'epoch', ARGV[1], 'last', 0, 'run', ARGV[2])
    epoch, last = ARGV[1], 0
  end
  redis.call('PEXPIRE', meta, math.ceil(ARGV[3] * 1.5))
  return epoch, last
end
`

const reaching = `
-- The smallest offset that the log reaches back to.
local function startOf(log, last)
  local first = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
  if not first then return last end
  return tonumber(string.match(first[1], '^%d+')) - 1
end
`

const aging = `
local function nowMs()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Most calls find nothing old, hence one entry is looked at first.
local function dropOld(log, now)
  local count = 1
  while true do
    local page = redis.call('XRANGE', log, '-', '+', 'COUNT', count)
    local old = 0
    while page[old + 1] and tonumber(page[old + 1][2][2]) < now - ARGV[3] do old = old + 1 end
    if old == 0 then return end
    redis.call('XTRIM', log, 'MAXLEN', '=', redis.call('XLEN', log) - old)
    if old < #page then return end
    count = 100
  end
end
`

/**
 * ARGV: 4 maxEntries, 5 the channel to publish to, 6 the most bytes that a push carries, 7 how many marks, then name,
 * min, max, to of each (empty: left out; to may be `none`), then the entries as JSON. Gives [isAppended, epoch, last,
 * at, name, value, …].
 */
export const appendScript = `${opening}${aging}
local meta, log = KEYS[1], KEYS[2]
local epoch, last = open(meta, log)
local firstEntry = 8 + 4 * ARGV[7]

local holds = true
for mark = 8, firstEntry - 1, 4 do
  local value = tonumber(redis.call('HGET', meta, 'mark:' .. ARGV[mark]) or nil)
  local min, max = tonumber(ARGV[mark + 1]), tonumber(ARGV[mark + 2])
  if value and ((min and value < min) or (max and value > max)) then holds = false end
end

local at = nowMs()
if holds then
  for mark = 8, firstEntry - 1, 4 do
    local field, to = 'mark:' .. ARGV[mark], ARGV[mark + 3]
    if to == 'none' then redis.call('HDEL', meta, field)
    elseif to ~= '' then redis.call('HSET', meta, field, to) end
  end
end

if holds and ARGV[firstEntry] then
  for entry = firstEntry, #ARGV do
    last = last + 1
    redis.call('XADD', log, string.format('%.0f-0', last), 'at', string.format('%.0f', at), 'data', ARGV[entry])
  end
  redis.call('HSET', meta, 'last', string.format('%.0f', last))
  redis.call('XTRIM', log, 'MAXLEN', '=', ARGV[4])
  dropOld(log, at)
  -- With the trim above no entry grows older than twice the age.
  redis.call('PEXPIRE', log, ARGV[3])

  local head = string.format('{"epoch":"%s","last":%.0f,"at":%.0f', epoch, last, at)
  local entries = ',"entries":[' .. table.concat(ARGV, ',', firstEntry) .. ']'
  if #entries > tonumber(ARGV[6]) then entries = '' end
  redis.call('PUBLISH', ARGV[5], head .. entries .. '}')
end

local answer = { holds and 1 or 0, epoch, last, at }
for mark = 8, firstEntry - 1, 4 do
  local value = redis.call('HGET', meta, 'mark:' .. ARGV[mark])
  if value then
    table.insert(answer, ARGV[mark])
    table.insert(answer, value)
  end
end
return answer
`

/** ARGV: 4 epoch and 5 offset to read after, 6 limit. Gives [epoch, last, entries], without entries where out of reach. */
export const readScript = `${opening}${reaching}
local epoch, last = open(KEYS[1], KEYS[2])
local after = tonumber(ARGV[5])
if ARGV[4] ~= epoch or after > last or after < startOf(KEYS[2], last) then return { epoch, last } end
return { epoch, last, redis.call('XRANGE', KEYS[2], string.format('%.0f', after + 1), '+', 'COUNT', ARGV[6]) }
`

/** ARGV: 4 limit. Gives [epoch, last, entries from the newest on, the hash]. */
export const tailScript = `${opening}
local epoch, last = open(KEYS[1], KEYS[2])
local entries = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', ARGV[4])
return { epoch, last, entries, redis.call('HGETALL', KEYS[1]) }
`

/** Of many channels at once; gives [epoch, last, smallest offset that the log reaches back to] for each, flat. */
export const positionsScript = `${opening}${reaching}${aging}
local now = nowMs()
local answer = {}
for key = 1, #KEYS, 2 do
  local epoch, last = open(KEYS[key], KEYS[key + 1])
  dropOld(KEYS[key + 1], now)
  table.insert(answer, epoch)
  table.insert(answer, last)
  table.insert(answer, startOf(KEYS[key + 1], last))
end
return answer
`
