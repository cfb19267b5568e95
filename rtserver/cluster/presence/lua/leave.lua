-- ARGV: instance. Ends its lease; the other instances clear up after it.
redis.call('ZADD', p..':leases', 0, ARGV[1])
redis.call('UNLINK', p..':instance:'..ARGV[1], p..':in:'..ARGV[1], p..':new:'..ARGV[1])
return redis.status_reply('OK')
