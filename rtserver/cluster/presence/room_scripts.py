"""What Redis knows of who is in rooms, and its steps as Lua. `scripts` tells the rest of the keys, and the rules.

    P:in:<i>    zset  of instance i, all scores 0: `namespace \\0 room \\0 user \\0 devices` for each user of each room,
                      and `\\xff epoch` once everything has been said that belongs there in this epoch
    P:new:<i>   zset  the same, while everything is said again
One key for an instance: a heartbeat renews it and the death of the instance ends it, whatever is in it. A room is a
range of it, by user id: \\0 sorts before whatever may follow in a longer name, and one that is in a name is written
\\0\\xff, which is in no UTF-8.
"""

from __future__ import annotations

from rtserver.cluster.presence.scripts import BASE
from rtserver.cluster.presence.user_ids import decode_user, encode_user

END = b"\xff"


def prefix(*parts: str) -> bytes:
    """What the entries of a place, or of a user in one, begin with."""
    return b"".join(encode_user(part).replace(b"\0", b"\0\xff") + b"\0" for part in parts)


def suffix(entry: bytes) -> tuple[str, bytes]:
    """The user and the devices of what is left behind the prefix of a place."""
    user, _, devices = entry.rpartition(b"\0")
    return decode_user(user.replace(b"\0\xff", b"\0")), devices


TELL = """
local change = 0
for i = 1, #ARGV, 2 do
  change = change - redis.call('ZREMRANGEBYLEX', KEYS[1], '['..ARGV[i], '('..ARGV[i]..'\\255')
  if ARGV[i + 1] ~= '0' then change = change + redis.call('ZADD', KEYS[1], 0, ARGV[i]..ARGV[i + 1]) end
end
redis.call('PEXPIRE', KEYS[1], 3600000)
return change
"""
"""KEYS: P:in or P:new of the instance. ARGV: prefix of a user in a room, devices… Answers with by how many entries it
has grown."""

COMPLETE = """
redis.call('ZADD', KEYS[1], 0, ARGV[1])
redis.call('UNLINK', KEYS[2])
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('PEXPIRE', KEYS[2], 3600000)
return redis.call('ZCARD', KEYS[2])
"""
"""KEYS: P:new and P:in of the instance. ARGV: the mark of the epoch. Everything was said; answers with its size."""

_OTHERS = f"""{BASE}
local epoch = redis.call('GET', p..':epoch') or ''
local me, lease = ARGV[1], tonumber(ARGV[2])
local live, silent, told = {{}}, 0, {{}}
local leases = redis.call('ZREVRANGE', p..':leases', 0, 999, 'WITHSCORES')
for i = 1, #leases, 2 do
  local instance, ends = leases[i], tonumber(leases[i + 1]) or 0
  if ends > 0 and instance ~= me then
    if ends >= now then live[#live + 1] = instance end
    local mark = redis.pcall('ZSCORE', p..':in:'..instance, '\\255'..epoch)
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
"""
"""Leaves out who asks: it knows of itself. An instance is silent when it has missed a heartbeat or two, or has not said
yet who is in its rooms."""

PAGE = f"""{_OTHERS}
for _, instance in ipairs(live) do tell(instance, ARGV[4], '('..ARGV[3]..'\\255', ARGV[5]) end
return {{epoch, silent, live, told}}
"""
"""ARGV: instance, lease (ms), prefix of the room, where to begin, how many of each instance. Answers with the epoch,
whether somebody was silent, the other instances, and an instance, user \\0 devices…"""

AMONG = f"""{_OTHERS}
for i = 4, #ARGV do
  local user = ARGV[3]..ARGV[i]
  for _, instance in ipairs(live) do tell(instance, '['..user, '('..user..'\\255', 1) end
end
return {{epoch, silent, live, told}}
"""
"""ARGV: instance, lease (ms), prefix of the room, prefixes of users… Answers likewise."""
