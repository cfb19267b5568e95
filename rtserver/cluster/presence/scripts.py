"""What presence keeps in Redis, and the steps that must not be torn apart, as Lua.

With P the prefix (KEYS[1]; its braces keep all keys in one slot of a Redis Cluster):
    P:leases         zset  instance -> when its lease ends (ms); 0 for one that has said goodbye
    P:instance:<i>   text  what instance i tells of itself (JSON); expires with the lease
    P:on:<i>         hash  user -> devices of the user on instance i
    P:online         zset  user -> since when online (ms): what has been told
    P:leaving        zset  user -> when to be told offline (ms), unless back by then
    P:in:<i>         zset  who is in rooms on instance i: see `room_scripts`
    P:epoch          text  changes when Redis has lost its data, or had to throw some away
Rules:
1. Every transition happens in one script, so exactly one server gets the answer that makes it tell the others.
2. The only clock is Redis's own: how the clocks of the instances stand does not matter.
3. Counts are set, never added to, so saying something twice does no harm.
4. A key of a wrong type is removed and the epoch changed, whereupon every instance says again who is here.
5. When nobody at all has renewed a lease for half its time, it was Redis that was away (or its clock that jumped):
   all leases begin anew, so that nobody is declared dead for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

KEY = "{rtserver:presence}"
STRANGERS = 50_000
"""More than an instance has told of itself: what others wrote there is thrown away, not read name by name."""
CHUNK = 100
"""Users in one call: Redis does nothing else while a script runs."""

BASE = """
local p = KEYS[1]
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local HOUR = 3600000
local known
local function instances()
  known = known or redis.call('ZREVRANGE', p..':leases', 0, 999)
  return known
end
local function somewhere(user)
  for _, instance in ipairs(instances()) do
    if redis.call('HEXISTS', p..':on:'..instance, user) == 1 then return true end
  end
  return false
end
"""

_SETTLE = """
local gone = {}
local due = redis.call('ZRANGEBYSCORE', p..':leaving', '-inf', now, 'LIMIT', 0, 100)
for _, user in ipairs(due) do
  redis.call('ZREM', p..':leaving', user)
  if not somewhere(user) then
    redis.call('ZREM', p..':online', user)
    gone[#gone + 1] = user
  end
end
local more = #due == 100
"""

SAY = f"""{BASE}
local here = p..':on:'..ARGV[1]
local fresh = {{}}
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
"""
"""ARGV: instance, lease (ms), grace (ms), then user, devices here… Answers with those who were not online before."""

SETTLE = f"""{BASE}{_SETTLE}
return {{gone, more and 1 or 0}}
"""
"""Answers with users whose grace is over, who are offline now; and whether there are more."""

BEAT = f"""{BASE}
local repaired = 0
local function expect(kind, key)
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    redis.call('DEL', key)
    repaired = repaired + 1
  end
end
local me, lease, grace = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local mine, rooms = p..':on:'..me, p..':in:'..me
for _, key in ipairs({{'leases', 'online', 'leaving'}}) do expect('zset', p..':'..key) end
expect('string', p..':epoch')
repaired = repaired + redis.call('ZREMRANGEBYSCORE', p..':leases', now + HOUR, '+inf')
repaired = repaired + redis.call('ZREMRANGEBYSCORE', p..':leaving', now + HOUR, '+inf')

local latest = redis.call('ZRANGE', p..':leases', -1, -1, 'WITHSCORES')
if latest[2] and tonumber(latest[2]) < now + lease / 2 then
  for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', '(0', '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', p..':leases', now + lease, instance)
  end
end
local held = redis.call('ZSCORE', p..':leases', me)
redis.call('ZADD', p..':leases', now + lease, me)
expect('hash', mine)
for _, instance in ipairs(instances()) do
  expect('hash', p..':on:'..instance)
  expect('zset', p..':in:'..instance)
end
expect('zset', rooms)
if redis.call('HLEN', mine) > tonumber(ARGV[7]) then
  redis.call('UNLINK', mine)
  repaired = repaired + 1
end
if repaired > 0 then redis.call('DEL', p..':epoch') end
redis.call('SET', p..':epoch', ARGV[4], 'NX')
local before = redis.pcall('GET', p..':instance:'..me)
redis.call('SET', p..':instance:'..me, ARGV[5], 'PX', lease)
for _, key in ipairs({{':on:'..me, ':in:'..me, ':leases', ':online', ':leaving', ':epoch'}}) do
  redis.call('PEXPIRE', p..key, HOUR)
end

local busy, budget = false, 100
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', '-inf', now, 'LIMIT', 0, 20)) do
  busy = true
  expect('hash', p..':on:'..dead)
  local users = redis.call('HRANDFIELD', p..':on:'..dead, budget)
  for _, user in ipairs(users) do
    redis.call('HDEL', p..':on:'..dead, user)
    if not somewhere(user) then redis.call('ZADD', p..':leaving', 'NX', now + grace, user) end
  end
  budget = budget - #users
  if budget == 0 then break end
  redis.call('ZREM', p..':leases', dead)
  redis.call('UNLINK', p..':on:'..dead, p..':in:'..dead, p..':new:'..dead, p..':instance:'..dead)
end

local page = redis.call('ZSCAN', p..':online', ARGV[6], 'COUNT', 50)
for i = 1, #page[2], 2 do
  local user = page[2][i]
  if not somewhere(user) then
    repaired = repaired + redis.call('ZADD', p..':leaving', 'NX', now + grace, user)
  end
end
{_SETTLE}
if type(before) ~= 'string' then before = '' end
local epoch = redis.call('GET', p..':epoch')
if ARGV[8] == '1' then redis.call('ZREMRANGEBYLEX', rooms, '[\\255', '+') end
local complete = redis.call('ZSCORE', rooms, '\\255'..epoch)
local live = redis.call('ZRANGEBYSCORE', p..':leases', now, '+inf', 'LIMIT', 0, 1000)
return {{
  held and 1 or 0, epoch, redis.call('HLEN', mine), gone, (busy or more) and 1 or 0, page[1], repaired, before,
  complete and 1 or 0, redis.call('ZCARD', rooms), live
}}
"""
"""ARGV: instance, lease (ms), grace (ms), a candidate for the epoch, what the instance tells of itself, where the
look through P:online stands, how many users P:on:<me> may hold before it counts as somebody else's, whether P:in:<me>
is no longer true.

Renews the lease, clears up after dead instances, and looks at a few users for whether they are online by right.
Answers with: whether the lease was held, the epoch, the users known to be here, the users who are offline now,
whether there is more to clear up, where the look stands, what was repaired, what the instance told of itself before;
and for rooms: whether P:in:<me> is complete, its size, and the instances that live.
"""

LEAVE = f"""{BASE}
redis.call('ZADD', p..':leases', 0, ARGV[1])
redis.call('UNLINK', p..':instance:'..ARGV[1], p..':in:'..ARGV[1], p..':new:'..ARGV[1])
return redis.status_reply('OK')
"""
"""ARGV: instance. Its lease is over, and the others clear up after it."""

INSTANCES = f"""{BASE}
local told = {{}}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', now, now + HOUR, 'LIMIT', 0, 1000)) do
  local record = redis.pcall('GET', p..':instance:'..instance)
  told[#told + 1] = {{instance, type(record) == 'string' and record or ''}}
end
return told
"""
"""Answers with the instances whose lease lasts, and what they tell of themselves."""

DEVICES = f"""{BASE}
local told = {{}}
for _, instance in ipairs(redis.call('ZRANGEBYSCORE', p..':leases', now, now + HOUR, 'LIMIT', 0, 1000)) do
  local counts = redis.pcall('HMGET', p..':on:'..instance, unpack(ARGV))
  if not counts.err then
    for i, user in ipairs(ARGV) do
      if counts[i] then told[#told + 1] = {{user, instance, counts[i]}} end
    end
  end
end
return told
"""
"""ARGV: users. Answers with the number of devices, by user and instance."""


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
