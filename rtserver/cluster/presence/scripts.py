"""What presence keeps in Redis, and the steps that must not be torn apart, as Lua.

With P the prefix (KEYS[1]; its braces keep all keys in one slot of a Redis Cluster):
    P:leases         zset  instance -> when its lease ends (ms, Redis's own clock)
    P:on:<instance>  set   the users with a device there
    P:user:<user>    set   the instances where the user has a device
    P:online         zset  user -> since when online (ms): what has been told
    P:leaving        zset  user -> when to be told offline (ms), unless back by then
    P:epoch          text  changes when Redis has lost its data
Every transition happens in one script, so exactly one server gets the answer that makes it tell the others.
"""

CHUNK = 500
"""Users in one call: Redis does nothing else while a script runs."""

_NOW = """
local p = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
"""

_SETTLE = """
local gone = {}
for _, user in ipairs(redis.call('ZRANGEBYSCORE', p..':leaving', '-inf', now, 'LIMIT', 0, 500)) do
  redis.call('ZREM', p..':leaving', user)
  if redis.call('EXISTS', p..':user:'..user) == 0 then
    redis.call('ZREM', p..':online', user)
    gone[#gone + 1] = user
  end
end
"""

ARRIVE = f"""{_NOW}
local new = {{}}
for i = 2, #ARGV do
  local user = ARGV[i]
  redis.call('SADD', p..':user:'..user, ARGV[1])
  redis.call('SADD', p..':on:'..ARGV[1], user)
  redis.call('ZREM', p..':leaving', user)
  if redis.call('ZADD', p..':online', 'NX', now, user) == 1 then new[#new + 1] = user end
end
return new
"""
"""ARGV: instance, users… Answers with those who were not online before."""

DEPART = f"""{_NOW}
for i = 3, #ARGV do
  local user = ARGV[i]
  redis.call('SREM', p..':user:'..user, ARGV[1])
  redis.call('SREM', p..':on:'..ARGV[1], user)
  if redis.call('EXISTS', p..':user:'..user) == 0 then
    redis.call('ZADD', p..':leaving', now + ARGV[2], user)
  end
end
return redis.status_reply('OK')
"""
"""ARGV: instance, grace (ms), users…"""

SETTLE = f"""{_NOW}{_SETTLE}
return gone
"""
"""Answers with the users whose grace is over: they are offline now."""

BEAT = f"""{_NOW}
local known = redis.call('ZSCORE', p..':leases', ARGV[1])
redis.call('ZADD', p..':leases', now + ARGV[2], ARGV[1])
redis.call('SET', p..':epoch', ARGV[3], 'NX')
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', '-inf', now, 'LIMIT', 0, 10)) do
  local users = redis.call('SPOP', p..':on:'..dead, 500)
  for _, user in ipairs(users) do
    redis.call('SREM', p..':user:'..user, dead)
    if redis.call('EXISTS', p..':user:'..user) == 0 then redis.call('ZADD', p..':leaving', now, user) end
  end
  if #users < 500 then redis.call('ZREM', p..':leases', dead) end
end
{_SETTLE}
return {{known and 1 or 0, redis.call('GET', p..':epoch'), redis.call('SCARD', p..':on:'..ARGV[1]), gone}}
"""
"""ARGV: instance, lease (ms), a candidate for the epoch. Renews the lease, and clears up after dead instances.

Answers with: whether the lease was there, the epoch, the users known to be here, the users who are offline now.
"""
