-- KEYS: stream. ARGV: group, ids of entries. Acknowledges and deletes them.
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
