-- One report of one node about one shared allowance, and what the node is leased. The arithmetic is that of
-- crates/govern/src/lease/pool.rs, which says why; a test holds the two against each other.
--
-- KEYS[1]: a hash. b:<place> used in that grain or period; n:<node> "<lease> <until> <number>"; e epoch; t total; h told;
-- l "<node> <until>" who lacks something.
-- ARGV: 1 node, 2 number, 3 max, 4 lease_ms, 5 length_ms (0: calendar), 6 grain_ms, 7 start_ms, 8 left_ms, 9 need,
-- 10 short, 11 spare, 12 epoch, 13 known (0 or 1), 14 now_ms (0: this server's clock), 15 parts of spent, 16 parts of
-- known; then age and amount of each part, spent first.
-- Answer: epoch, lease, total, nodes, others_lack, tell, whether what is known follows, then age and amount of what is known, where the node asks.
local REMEMBERED, LACKING = 600000, 1000
local key, node = KEYS[1], ARGV[1]
local function arg(at) return tonumber(ARGV[at]) end
local function text(number) return string.format('%.0f', number) end
local number, max, lease_ms = arg(2), arg(3), arg(4)
local length, grain, start, left_ms = arg(5), arg(6), arg(7), arg(8)
local need, short, spare, epoch, now = arg(9), arg(10), arg(11), ARGV[12], arg(14)
local clock = redis.call('TIME')
if now == 0 then now = clock[1] * 1000 + math.floor(clock[2] / 1000) end

local function parts(first, count)
  local found = {}
  for at = 0, count - 1 do
    found[#found + 1] = { arg(first + 2 * at), arg(first + 2 * at + 1) }
  end
  return found
end
local spent = parts(17, arg(15))
local known = ARGV[13] == '1' and parts(17 + 2 * arg(15), arg(16)) or nil

local used, nodes, pool, gone = {}, {}, {}, {}
local fields = redis.call('HGETALL', key)
for at = 1, #fields, 2 do
  local name, value = fields[at], fields[at + 1]
  local kind, rest = name:sub(1, 2), name:sub(3)
  if kind == 'b:' then
    used[tonumber(rest)] = tonumber(value)
  elseif kind == 'n:' then
    local lease, ends, last = value:match('^(%d+) (%d+) (%d+)$')
    nodes[rest] = { tonumber(lease), tonumber(ends), tonumber(last) }
  else
    pool[name] = value
  end
end
local own_epoch = pool.e or string.format('%s%06d', clock[1], tonumber(clock[2]))
local strange = epoch ~= own_epoch
if strange and not known then return { own_epoch, '0', '0', 0, 0, 1, 0 } end

local set = { 'e', own_epoch }
local function put(name, value) set[#set + 1] = name; set[#set + 1] = value end
local touched, total, told = {}, tonumber(pool.t or '0'), tonumber(pool.h or '0')
local fresh = next(nodes) == nil
for place in pairs(used) do
  local over
  if length > 0 then over = (place + 1) * grain + length <= now else over = place < start end
  if over then used[place] = nil; gone[#gone + 1] = 'b:' .. text(place) else fresh = false end
end
for name, one in pairs(nodes) do
  if one[2] + REMEMBERED <= now then nodes[name] = nil; gone[#gone + 1] = 'n:' .. name end
end
if next(nodes) == nil and next(used) == nil then fresh = true end

local function count(amounts)
  for _, part in ipairs(amounts) do
    local place
    if length > 0 then
      place = math.floor(math.max(0, now - part[1]) / grain)
    else
      place = start
      for other in pairs(used) do place = math.max(place, other) end
    end
    used[place] = (used[place] or 0) + part[2]
    touched[place] = true
    total = total + part[2]
  end
end
local function sum(amounts)
  local all = 0
  for _, part in ipairs(amounts) do all = all + part[2] end
  return all
end

if strange then
  local more = math.max(0, sum(known) - told)
  if fresh then
    count(known)
    told = told + more
  elseif epoch ~= '0' and more > 0 then
    count({ { 0, more } })
    told = told + more
  end
end
local before = nodes[node] or { 0, 0, 0 }
local left = now < before[2] and before[1] or 0
if number > before[3] then
  left = math.max(0, left - sum(spent))
  count(spent)
end

local all, others, living = 0, 0, 0
for _, amount in pairs(used) do all = all + amount end
for name, one in pairs(nodes) do
  if name ~= node and now < one[2] then others = others + one[1]; living = living + 1 end
end
local who, lacks_until = (pool.l or ''):match('^(%S+) (%d+)$')
local others_lack = who ~= nil and who ~= node and now < tonumber(lacks_until)
local must = need + short
local wish = must + spare
if others_lack then wish = math.max(math.min(wish, left), must) end
local room = math.max(0, max - all - others)
local more = math.max(0, room - left)
local step = math.min(math.max(math.floor(more / (2 * (living + 1))), must - left), more)
local lease = math.min(wish, left + math.max(0, step), room)
if lease < must and not others_lack then
  put('l', node .. ' ' .. text(now + LACKING))
  who, lacks_until = node, now + LACKING
elseif lease >= must and who == node then
  gone[#gone + 1] = 'l'
end

put('n:' .. node, text(lease) .. ' ' .. text(now + lease_ms) .. ' ' .. text(math.max(number, before[3])))
put('t', text(total))
put('h', text(told))
for place in pairs(touched) do put('b:' .. text(place), text(used[place])) end
if #gone > 0 then redis.call('HDEL', key, unpack(gone)) end
redis.call('HSET', key, unpack(set))
local keep = length > 0 and length + grain or left_ms
redis.call('PEXPIRE', key, text(math.max(keep, lease_ms) + REMEMBERED))

local answer = { own_epoch, text(lease), text(total), living + 1, others_lack and 1 or 0, 0, strange and 1 or 0 }
if strange then
  for place, amount in pairs(used) do
    local age = length > 0 and math.max(0, now - (place + 1) * grain) or 0
    answer[#answer + 1] = text(age)
    answer[#answer + 1] = text(amount)
  end
end
return answer
