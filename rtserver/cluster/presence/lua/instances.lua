-- Returns {instance, record} for each instance with a lease; the record is '' where there is none.
local told = {}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', now, now + HOUR, 'LIMIT', 0, 1000)) do
  local record = redis.pcall('GET', p..':instance:'..instance)
  told[#told + 1] = {instance, type(record) == 'string' and record or ''}
end
return told
