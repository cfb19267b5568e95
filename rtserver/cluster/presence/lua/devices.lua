-- ARGV: users. Returns {user, instance, number of devices} for each user on each instance with a lease.
local told = {}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', now, now + HOUR, 'LIMIT', 0, 1000)) do
  local counts = redis.pcall('HMGET', p..':on:'..instance, unpack(ARGV))
  if not counts.err then
    for i, user in ipairs(ARGV) do
      if counts[i] then told[#told + 1] = {user, instance, counts[i]} end
    end
  end
end
return told
