-- ARGV: instance, lease (ms), grace (ms), then for each user: user, number of devices on this instance.
-- Returns the users who were not online before.
local here = p..':on:'..ARGV[1]
local fresh = {}
redis.call('ZADD', p..':leases', 'NX', now + ARGV[2], ARGV[1])
for i = 4, #ARGV, 2 do
  local user = ARGV[i]
  if ARGV[i + 1] == '0' then
    redis.call('HDEL', here, user)
    if not somewhere(user) then redis.call('ZADD', p..':leaving', 'NX', now + ARGV[3], user) end
  else
    local arrived = redis.call('HSET', here, user, ARGV[i + 1]) == 1
    redis.call('ZREM', p..':leaving', user)
    if redis.call('ZADD', p..':online', 'NX', now, user) == 1 and arrived then fresh[#fresh + 1] = user end
  end
end
redis.call('PEXPIRE', here, HOUR)
return fresh
