-- KEYS: P:new:<i>, P:in:<i>. ARGV: the mark of the epoch. Replaces P:in by the complete P:new; returns its size.
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('UNLINK', KEYS[2])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], 3600000)
return redis.call('ZCARD', KEYS[2])
