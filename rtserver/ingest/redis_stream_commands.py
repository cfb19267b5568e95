"""Redis commands of the durable inbox: a stream, one consumer group for all servers, and a dead-letter stream.

1. An entry is removed when it is done, so the stream holds what is left to do. It is never trimmed.
2. Atomic steps are Lua scripts: an entry enters the dead-letter stream in the step in which it leaves the inbox; and a
   consumer is removed only while it has no pending entries, which would be lost with it.
3. One command at a time, on a connection of its own, since a blocking read waits at Redis for new entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from redis.asyncio import Connection
from redis.exceptions import ResponseError

from rtserver.cluster.redis.connection import Connect, ask, closed, opened
from rtserver.cluster.redis.lua import load_script
from rtserver.cluster.redis.rights import RefusedCommand, refusal_of

GROUP = "rtserver"
START = "0-0"
DEAD_LENGTH = 10_000
"""Entries that the dead-letter stream keeps, roughly."""
PATIENCE = 3.0
"""Seconds for one reply, beside the time that a read blocks."""

_SETTLE = load_script("rtserver.ingest", "settle")
_DEAD_LETTER = load_script("rtserver.ingest", "dead_letter")
_REMOVE_IDLE_CONSUMERS = load_script("rtserver.ingest", "remove_idle_consumers")


class StreamEntry(NamedTuple):
    """An entry of the stream: `id` as Redis assigned it, and its raw fields, which may hold anything."""

    id: str
    fields: Mapping[bytes, bytes]


class State(NamedTuple):
    """`waiting`: not yet read; `pending`: read and unfinished; `oldest`: when the oldest entry was added, in
    milliseconds since the epoch, or None."""

    waiting: int
    pending: int
    oldest: int | None


class RedisStreamCommands:
    """Every method raises one of `cluster.redis.connection.FAILURES`; error replies are `ResponseError`."""

    def __init__(self, connection: Connection, stream: str, dead: str, consumer: str) -> None:
        self._connection = connection
        self._stream, self._dead, self._consumer = stream, dead, consumer
        self.client_id: int | None = None

    async def make_group(self) -> None:
        """Create the stream and its group where missing. The group begins at the first entry: none is skipped."""
        try:
            await self._call("XGROUP", "CREATE", self._stream, GROUP, "0", "MKSTREAM")
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise

    async def identify(self) -> None:
        """Ask for the connection id that `unblock` needs; the Redis user may lack the right to."""
        try:
            self.client_id = int(await self._call("CLIENT", "ID"))
        except ResponseError:
            self.client_id = None

    async def read(self, count: int, block: float) -> list[StreamEntry]:
        """Read up to `count` new entries, leased to this consumer; wait up to `block` seconds for the first."""
        blocking = ("BLOCK", round(block * 1000)) if block else ()
        reply = await self._call(
            "XREADGROUP", "GROUP", GROUP, self._consumer, "COUNT", count, *blocking, "STREAMS", self._stream, ">",
            patience=PATIENCE + block,
        )  # fmt: skip
        return [entry for _, entries in reply or () for entry in _entries(entries)]

    async def claim(self, idle: float, cursor: str) -> tuple[tuple[StreamEntry, int] | None, str]:
        """Claim an entry that a consumer read and did not finish for `idle` seconds.

        Returns the entry with its number of deliveries, or None; and the cursor for the next call, which is `START`
        behind the last entry. Redis examines a few entries per call.
        """
        command = (self._stream, GROUP, self._consumer, round(idle * 1000), cursor, "COUNT", 1)
        reply = await self._call("XAUTOCLAIM", *command)
        found, after = _entries(reply[1]), reply[0].decode()
        if not found:
            return None, after
        entry = found[0]
        pending = await self._call("XPENDING", self._stream, GROUP, entry.id, entry.id, 1)
        return (entry, int(pending[0][3]) if pending else 1), after

    async def renew_lease(self, ids: Sequence[str]) -> None:
        """Restart the idle time of these entries; does not count as a delivery."""
        await self._call("XCLAIM", self._stream, GROUP, self._consumer, 0, *ids, "JUSTID")

    async def settle(self, ids: Sequence[str]) -> None:
        """Remove entries that are done."""
        await self._call("EVAL", _SETTLE, 1, self._stream, GROUP, *ids)

    async def dead_letter(self, id: str, fields: Sequence[str | bytes]) -> None:
        """Move an entry to the dead-letter stream, where it has these `fields`: name, value, …"""
        await self._call("EVAL", _DEAD_LETTER, 2, self._stream, self._dead, GROUP, id, DEAD_LENGTH, *fields)

    async def remove_idle_consumers(self, idle: float, leaving: bool = False) -> None:
        """Remove consumers without pending entries that were idle for `idle` seconds; with `leaving`, also this one."""
        gone, kept = (self._consumer, "") if leaving else ("", self._consumer)
        await self._call("EVAL", _REMOVE_IDLE_CONSUMERS, 1, self._stream, GROUP, gone, kept, round(idle * 1000))

    async def state(self) -> State:
        """Return how much is left to do."""
        length = int(await self._call("XLEN", self._stream))
        pending = int((await self._call("XPENDING", self._stream, GROUP))[0])
        first = _entries(await self._call("XRANGE", self._stream, "-", "+", "COUNT", 1)) if length else []
        oldest = int(first[0].id.partition("-")[0]) if first else None
        return State(max(0, length - pending), pending, oldest)

    async def _call(self, *command: Any, patience: float = PATIENCE) -> Any:
        async with asyncio.timeout(patience):
            try:
                return await ask(self._connection, *command)
            except ResponseError as error:
                refusal = refusal_of(error, command[0])
                raise error if refusal is None else RefusedCommand(refusal) from error


async def unblock(connect: Connect, client_id: int) -> None:
    """End a blocking read on the connection with this id."""
    connection = await opened(connect)
    try:
        async with asyncio.timeout(PATIENCE):
            await ask(connection, "CLIENT", "UNBLOCK", client_id)
    finally:
        await closed(connection)


def _entries(reply: Sequence[Any]) -> list[StreamEntry]:
    """Return the entries of a reply, without those that were deleted meanwhile."""
    return [StreamEntry(one[0].decode(), _fields(one[1])) for one in reply if one and one[1] is not None]


def _fields(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=False))
