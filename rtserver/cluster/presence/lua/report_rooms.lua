-- KEYS: P:in:<i> or P:new:<i>. ARGV: for each user in a room: the prefix of the entry, number of devices.
-- Returns by how many entries the key has grown.
local change = 0
for i = 1, #ARGV, 2 do
  change = change - redis.call('ZREMRANGEBYLEX', KEYS[1], '['..ARGV[i], '('..ARGV[i]..'\255')
  if ARGV[i + 1] ~= '0' then change = change + redis.call('ZADD', KEYS[1], 0, ARGV[i]..ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[1], 3600000)
return change
