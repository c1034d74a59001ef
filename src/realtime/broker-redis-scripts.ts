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
 * Of many channels at once, in order. ARGV: 4 maxEntries, 5 the most bytes that a push carries, then for each pair of keys
 * the channel to publish to, how many marks and how many entries, then name, min, max, to of each mark (empty: left out;
 * to may be `none`), then the entries as JSON. Gives [isAppended, epoch, last, at, value of each mark or '', …] for each.
 */
export const appendScript = `${opening}${aging}
local at = nowMs()
local place = 6

-- The marks as they are after the append, and whether they let it happen.
local function moveMarks(meta, first, count)
  if count == 0 then return true, {} end
  local fields = {}
  for index = 1, count do fields[index] = 'mark:' .. ARGV[first + 4 * index - 4] end
  local values = redis.call('HMGET', meta, unpack(fields))
  for index = 1, count do
    local value = tonumber(values[index] or nil)
    local min, max = tonumber(ARGV[first + 4 * index - 3]), tonumber(ARGV[first + 4 * index - 2])
    if value and ((min and value < min) or (max and value > max)) then return false, values end
  end
  local moved = {}
  for index = 1, count do
    local to = ARGV[first + 4 * index - 1]
    if to == 'none' then
      redis.call('HDEL', meta, fields[index])
      values[index] = false
    elseif to ~= '' then
      table.insert(moved, fields[index])
      table.insert(moved, to)
      values[index] = to
    end
  end
  if moved[1] then redis.call('HSET', meta, unpack(moved)) end
  return true, values
end

local function append(meta, log)
  local pushName, markCount, entryCount = ARGV[place], tonumber(ARGV[place + 1]), tonumber(ARGV[place + 2])
  local firstMark = place + 3
  local firstEntry = firstMark + 4 * markCount
  place = firstEntry + entryCount
  local epoch, last = open(meta, log)
  local holds, values = moveMarks(meta, firstMark, markCount)

  if holds and entryCount > 0 then
    for entry = firstEntry, place - 1 do
      last = last + 1
      local id = string.format('%.0f-0', last)
      redis.call('XADD', log, 'MAXLEN', '=', ARGV[4], id, 'at', string.format('%.0f', at), 'data', ARGV[entry])
    end
    redis.call('HSET', meta, 'last', string.format('%.0f', last))
    dropOld(log, at)
    -- With the trims above no entry grows older than twice the age.
    redis.call('PEXPIRE', log, ARGV[3])

    local head = string.format('{"epoch":"%s","last":%.0f,"at":%.0f', epoch, last, at)
    local entries = ',"entries":[' .. table.concat(ARGV, ',', firstEntry, place - 1) .. ']'
    if #entries > tonumber(ARGV[5]) then entries = '' end
    redis.call('PUBLISH', pushName, head .. entries .. '}')
  end

  local answer = { holds and 1 or 0, epoch, last, at }
  for index = 1, markCount do table.insert(answer, values[index] or '') end
  return answer
end

local answers = {}
for key = 1, #KEYS, 2 do table.insert(answers, append(KEYS[key], KEYS[key + 1])) end
return answers
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
