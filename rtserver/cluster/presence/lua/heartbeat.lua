-- Renews the lease of an instance, clears up after dead instances, and checks some users of P:online.
-- ARGV: 1 instance, 2 lease (ms), 3 grace (ms), 4 a candidate for the epoch, 5 the record of the instance (JSON),
--   6 the cursor of the check of P:online, 7 the number of users in P:on:<me> above which it counts as somebody else's,
--   8 '1' if P:in:<me> is no longer true, 9 '1' in the first heartbeat of a process.
-- Returns the fields of HeartbeatReply (heartbeat.py), in their order.
local repaired = 0
local function expect(kind, key)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
    repaired = repaired + 1
  end
end
local me, lease, grace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local mine, rooms = p..':on:'..me, p..':in:'..me
for _, key in ipairs({'leases', 'online', 'leaving'}) do expect('zset', p..':'..key) end
expect('string', p..':epoch')
expect('string', p..':crashes')
repaired = repaired + redis.call('ZREMRANGEBYSCORE', p..':leases', now + HOUR, '+inf')
repaired = repaired + redis.call('ZREMRANGEBYSCORE', p..':leaving', now + HOUR, '+inf')

-- Rule 5: when no lease was renewed for half a lease, Redis itself was away. All leases begin anew.
local latest = redis.call('ZRANGE', p..':leases', -1, -1, 'WITHSCORES')
if latest[2] and tonumber(latest[2]) < now + lease / 2 then
  for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', '(0', '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', p..':leases', now + lease, instance)
  end
end
local held = redis.call('ZSCORE', p..':leases', me)
redis.call('ZADD', p..':leases', now + lease, me)
local crashed = 0
if ARGV[9] == '1' and held and tonumber(held) > 0 then crashed = 1 end

-- Rule 4: a key of a wrong type, or with too much in it, is removed; a missing epoch makes all instances report again.
expect('hash', mine)
for _, instance in ipairs(instances()) do
  expect('hash', p..':on:'..instance)
  expect('zset', p..':in:'..instance)
end
expect('zset', rooms)
if redis.call('HLEN', mine) > tonumber(ARGV[7]) then
  redis.call('UNLINK', mine)
  repaired = repaired + 1
end
if repaired > 0 then redis.call('DEL', p..':epoch') end
redis.call('SET', p..':epoch', ARGV[4], 'NX')
local before = redis.pcall('GET', p..':instance:'..me)
redis.call('SET', p..':instance:'..me, ARGV[5], 'PX', lease)
for _, key in ipairs({':on:'..me, ':in:'..me, ':leases', ':online', ':leaving', ':epoch', ':crashes'}) do
  redis.call('PEXPIRE', p..key, HOUR)
end

-- Dead instances: their users start to leave, at most 100 in one call.
local busy, budget = false, 100
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', '-inf', now, 'LIMIT', 0, 20)) do
  busy = true
  expect('hash', p..':on:'..dead)
  local users = redis.call('HRANDFIELD', p..':on:'..dead, budget)
  for _, user in ipairs(users) do
    redis.call('HDEL', p..':on:'..dead, user)
    if not somewhere(user) then redis.call('ZADD', p..':leaving', 'NX', now + grace, user) end
  end
  budget = budget - #users
  if budget == 0 then break end
  if tonumber(redis.call('ZSCORE', p..':leases', dead)) > 0 then crashed = crashed + 1 end
  redis.call('ZREM', p..':leases', dead)
  redis.call('UNLINK', p..':on:'..dead, p..':in:'..dead, p..':new:'..dead, p..':instance:'..dead)
end

-- Some users of P:online that have no device anywhere start to leave.
local page = redis.call('ZSCAN', p..':online', ARGV[6], 'COUNT', 50)
for i = 1, #page[2], 2 do
  local user = page[2][i]
  if not somewhere(user) then
    repaired = repaired + redis.call('ZADD', p..':leaving', 'NX', now + grace, user)
  end
end
local gone, more = settle()
if type(before) ~= 'string' then before = '' end
local epoch = redis.call('GET', p..':epoch')
if crashed > 0 then redis.pcall('INCRBY', p..':crashes', crashed) end
local crashes = tonumber(redis.call('GET', p..':crashes')) or 0
if ARGV[8] == '1' then redis.call('ZREMRANGEBYLEX', rooms, '[\255', '+') end
local complete = redis.call('ZSCORE', rooms, '\255'..epoch)
local live = redis.call('ZRANGEBYSCORE', p..':leases', now, '+inf', 'LIMIT', 0, 1000)
return {
  held and 1 or 0, epoch, redis.call('HLEN', mine), gone, (busy or more) and 1 or 0, page[1], repaired, before,
  complete and 1 or 0, redis.call('ZCARD', rooms), live, crashes
}
