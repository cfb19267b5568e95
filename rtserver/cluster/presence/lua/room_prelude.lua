-- Prepended, after prelude.lua, to the queries of rooms. ARGV: 1 the asking instance, 2 lease (ms), 3 prefix of the room.
-- Collects `live`, the other instances with a lease, and whether one of them is silent: it has missed a heartbeat or
-- two, or has not reported its rooms in this epoch. `tell` adds the entries of an instance within a range to `told`.
local epoch = redis.call('GET', p..':epoch') or ''
local me, lease = ARGV[1], tonumber(ARGV[2])
local live, silent, told = {}, 0, {}
local leases = redis.call('ZREVRANGE', p..':leases', 0, 999, 'WITHSCORES')
for i = 1, #leases, 2 do
  local instance, ends = leases[i], tonumber(leases[i + 1]) or 0
  if ends > 0 and instance ~= me then
    if ends >= now then live[#live + 1] = instance end
    local mark = redis.pcall('ZSCORE', p..':in:'..instance, '\255'..epoch)
    if ends < now + lease / 2 or type(mark) ~= 'string' then silent = 1 end
  end
end
local function tell(instance, from, to, count)
  local rows = redis.pcall('ZRANGEBYLEX', p..':in:'..instance, from, to, 'LIMIT', 0, count)
  for _, row in ipairs(rows) do
    told[#told + 1] = instance
    told[#told + 1] = string.sub(row, #ARGV[3] + 1)
  end
end
