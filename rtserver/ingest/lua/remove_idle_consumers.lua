-- KEYS: stream. ARGV: group, a consumer to remove, a consumer to keep, idle time (ms) after which others are removed.
-- Only consumers without pending entries are removed. Returns how many were.
local removed = 0
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  local of = {}
  for i = 1, #consumer, 2 do of[consumer[i]] = consumer[i + 1] end
  local gone = of['name'] == ARGV[2] or (of['name'] ~= ARGV[3] and of['idle'] > tonumber(ARGV[4]))
  if gone and of['pending'] == 0 then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], of['name'])
    removed = removed + 1
  end
end
return removed
