"""The durable inbox as Redis keeps it: a stream, one group of consumers for all servers, and a stream for the dead.

1. An entry is removed when it is done, so what is in the stream is what is left to do; nothing is ever trimmed away.
2. What must not be torn apart is a script: an entry goes to the dead in the same step in which it leaves the inbox,
   and a consumer is removed only while nothing is pending with it, for that would be lost with it.
3. One question at a time on a connection of its own, since reading waits at Redis for what is to come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Connection
from redis.exceptions import ResponseError

from rtserver.cluster.redis.connection import Connect, closed, opened

GROUP = "rtserver"
START = "0-0"
DEAD_LENGTH = 10_000
PATIENCE = 3.0

_SETTLE = """
redis.call('XACK', KEYS[1], ARGV[1], unpack(ARGV, 2))
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
"""
_BURY = """
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(ARGV, 4))
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
return redis.call('XDEL', KEYS[1], ARGV[2])
"""
_SWEEP = """
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
"""


class StreamEntry(NamedTuple):
    """What somebody left: `id` as Redis gave it, and its fields; raw, for anybody can write anything there."""

    id: str
    fields: Mapping[bytes, bytes]


class State(NamedTuple):
    """`oldest`: when the oldest entry was added, in milliseconds; None when there is none."""

    waiting: int
    pending: int
    oldest: int | None


class RedisStreamCommands:
    """Every method raises what `cluster.redis.connection.FAILURES` names; errors of Redis are `ResponseError`."""

    def __init__(self, connection: Connection, stream: str, dead: str, consumer: str) -> None:
        self._connection = connection
        self._stream, self._dead, self._consumer = stream, dead, consumer
        self.client_id: int | None = None

    async def make_group(self) -> None:
        """The stream and its group, if they are not there: from the beginning, so that nothing is passed over."""
        try:
            await self._ask("XGROUP", "CREATE", self._stream, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def identify(self) -> None:
        """What `wake` needs; a user of Redis may be denied it."""
        try:
            self.client_id = int(await self._ask("CLIENT", "ID"))
        except ResponseError:
            self.client_id = None

    async def read(self, count: int, block: float) -> list[StreamEntry]:
        """New entries, which are this consumer's from now on; waits up to `block` seconds for the first."""
        blocking = ("BLOCK", round(block * 1000)) if block else ()
        answer = await self._ask(
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, *blocking, "STREAMS", self._stream, ">",
            patience=PATIENCE + block,
        )  # fmt: skip
        return [entry for _, entries in answer or () for entry in _entries(entries)]

    async def claim(self, idle: float, cursor: str) -> tuple[tuple[StreamEntry, int] | None, str]:
        """An entry that a consumer took and did not finish for `idle` seconds, and how often it was given out.

        Redis looks at a few in one step; the cursor says where to go on, and is `START` behind the last.
        """
        asked = (self._stream, GROUP, self._consumer, round(idle * 1000), cursor, "COUNT", 1)
        answer = await self._ask("XAUTOCLAIM", *asked)
        found, after = _entries(answer[1]), answer[0].decode()
        if not found:
            return None, after
        entry = found[0]
        pending = await self._ask("XPENDING", self._stream, GROUP, entry.id, entry.id, 1)
        return (entry, int(pending[0][3]) if pending else 1), after

    async def keep(self, ids: Sequence[str]) -> None:
        """These are still being worked on; that does not count as giving them out again."""
        await self._ask("XCLAIM", self._stream, GROUP, self._consumer, 0, *ids, "JUSTID")

    async def settle(self, ids: Sequence[str]) -> None:
        """These are done."""
        await self._ask("EVAL", _SETTLE, 1, self._stream, GROUP, *ids)

    async def bury(self, id: str, fields: Sequence[str | bytes]) -> None:
        """Move it to the dead, described by `fields`: name, value…"""
        await self._ask("EVAL", _BURY, 2, self._stream, self._dead, GROUP, id, DEAD_LENGTH, *fields)

    async def sweep(self, idle: float, leaving: bool = False) -> None:
        """Remove consumers that have nothing and have not been heard of for `idle` seconds; this one, if leaving."""
        gone, kept = (self._consumer, "") if leaving else ("", self._consumer)
        await self._ask("EVAL", _SWEEP, 1, self._stream, GROUP, gone, kept, round(idle * 1000))

    async def state(self) -> State:
        length = int(await self._ask("XLEN", self._stream))
        pending = int((await self._ask("XPENDING", self._stream, GROUP))[0])
        first = _entries(await self._ask("XRANGE", self._stream, "-", "+", "COUNT", 1)) if length else []
        oldest = int(first[0].id.partition("-")[0]) if first else None
        return State(max(0, length - pending), pending, oldest)

    async def _ask(self, *command: Any, patience: float = PATIENCE) -> Any:
        async with asyncio.timeout(patience):
            await self._connection.send_command(*command, check_health=False)
            return await self._connection.read_response()


async def wake(connect: Connect, client_id: int) -> None:
    """End the waiting of that connection at Redis."""
    connection = await opened(connect)
    try:
        async with asyncio.timeout(PATIENCE):
            await connection.send_command("CLIENT", "UNBLOCK", client_id, check_health=False)
            await connection.read_response()
    finally:
        await closed(connection)


def _entries(answer: Sequence[Any]) -> list[StreamEntry]:
    """Those of an answer that are still there."""
    return [StreamEntry(one[0].decode(), _fields(one[1])) for one in answer if one and one[1] is not None]


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=False))
