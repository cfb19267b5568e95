"""Room presence of a cluster: which users are in which room now, in Redis, under the leases of presence.

1. Joining and leaving do not wait: changes are noted, and one task reports the state as it stands by then.
2. Each heartbeat compares; after a FLUSHALL, a restart or an outage everything is reported again, beside what is there,
   which it then replaces. A few entries are reported again each time in any case.
3. While the report is incomplete (an outage, a loss of data), the mark of the epoch is missing, and the other instances
   call their answers partial.
4. A server knows its own clients; those of other servers it only reads from Redis. Nothing grows while Redis is down.
5. After a loss of data, answers are partial until the peers of the earlier heartbeats are back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rtserver.cluster.presence.queries import QUERY_TIMEOUT
from rtserver.cluster.presence.room_scripts import (
    COMPLETE_ROOMS,
    END,
    REPORT_ROOMS,
    ROOM_MEMBERS,
    ROOM_PAGE,
    prefix,
    suffix,
)
from rtserver.cluster.presence.scripts import CHUNK, KEY, chunks
from rtserver.cluster.presence.user_ids import decode_user
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.sio.broadcast.room_presence import MOST, Found, Occupants, Place, RoomPresence, bounded, chosen, page
from rtserver.tasks import cancelled

Entry = tuple[Place, str]


class RoomReport(NamedTuple):
    """What a heartbeat found: the epoch, whether the report of this instance is complete in it, the number of its
    entries, and the instances with a lease."""

    epoch: bytes
    complete: int
    size: int
    live: list[bytes]


class RedisRoomPresence(RoomPresence):
    """`lease` is in seconds. The heartbeats of presence drive it; before the first, nothing is reported."""

    def __init__(self, bus: RedisBus, instance: str, *, lease: float = 8.0, key: str = KEY) -> None:
        super().__init__(instance)
        self._bus, self._key, self._lease = bus, key, round(lease * 1000)
        self._mine, self._new = f"{key}:in:{instance}", f"{key}:new:{instance}"
        self._peers = KnownPeers(lease)
        self._epoch = b""
        self.stale = True
        """Whether the report in Redis is not true any more: everything must be reported again."""
        self._all_due = False
        self._size = 0
        self._dirty: set[Entry] = set()
        self._refreshing: Iterator[Entry] = iter(())
        self._reporting: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        await cancelled(self._reporting)

    def on_heartbeat(self, report: RoomReport) -> None:
        """The lease was renewed: report everything if Redis has it no longer, else a few entries."""
        epoch, complete, size, live = report
        lost_data = epoch != self._epoch and bool(self._epoch)
        others = (instance for instance in live if decode_user(instance) != self.instance)
        self._peers.update(others, asyncio.get_running_loop().time(), lost_data=lost_data)
        self._epoch = epoch
        if self.stale or not complete or size != self._size:
            self._all_due = True
        else:
            self._refresh_some()
        self._report_soon()

    async def page(self, namespace: str, room: str, after: str | None = None, limit: int = MOST) -> Occupants:
        place = (namespace, room)
        start = b"[" + prefix(*place) if after is None else b"(" + prefix(*place, after) + END
        partial, found = await self._others(ROOM_PAGE, place, start, bounded(limit) + 1)
        return page(_merged(found, self._page_here(place, after, limit)), limit, partial=partial)

    async def among(self, namespace: str, room: str, users: Sequence[str]) -> Occupants:
        place, partial, found = (namespace, room), False, Found()
        for part in chunks(users):
            lacking, more = await self._others(ROOM_MEMBERS, place, *map(prefix, part))
            partial |= lacking
            found |= more
        return chosen(_merged(found, self._among_here(place, users)), users, partial=partial)

    async def _others(self, script: str, place: Place, *args: bytes | int) -> tuple[bool, Found]:
        """Return whether an instance is missing, and the users on the other instances."""
        fixed = ("EVAL", script, 1, self._key, self.instance, self._lease, prefix(*place))
        try:
            epoch, silent, live, rows = await self._bus.ask(*fixed, *args, timeout=QUERY_TIMEOUT)
        except Unavailable:
            return True, {}
        return bool(silent) or epoch != self._epoch or self._peers.missing(live), _read(rows)

    # Reports to Redis.

    def _changed(self, place: Place, user: str) -> None:
        if not self.stale:
            self._dirty.add((place, user))
            self._report_soon()

    def _report_soon(self) -> None:
        if self._reporting is None:
            self._reporting = asyncio.create_task(self._report_changes())

    async def _report_changes(self) -> None:
        try:
            await asyncio.sleep(0)  # for all that changes in this iteration of the event loop
            while self._all_due or self._dirty:
                if self._all_due:
                    await self._report_all()
                else:
                    entries, self._dirty = self._dirty, set()
                    await self._report(self._mine, entries)
        except Unavailable:
            self.stale, self._all_due, self._dirty = True, False, set()
        finally:
            self._reporting = None

    async def _report(self, key: str, entries: Iterable[Entry]) -> None:
        for part in chunks(list(entries)):
            pairs = [value for place, user in part for value in (prefix(*place, user), self.devices(place, user))]
            self._size += await self._bus.call("EVAL", REPORT_ROOMS, 1, key, *pairs)

    async def _report_all(self) -> None:
        """Write a new report beside the old one, then replace it. Changes meanwhile are noted, and reported after."""
        epoch, self.stale = self._epoch, False
        self._dirty.clear()
        await self._bus.call("UNLINK", self._new)
        await self._report(self._new, self)
        self._size = await self._bus.call("EVAL", COMPLETE_ROOMS, 2, self._new, self._mine, END + epoch)
        self._all_due = False

    def _refresh_some(self) -> None:
        """Mark a few entries for another report, in case somebody else has changed the key."""
        entries = list(islice(self._refreshing, CHUNK))
        if not entries:
            self._refreshing = iter(list(self))
            entries = list(islice(self._refreshing, CHUNK))
        self._dirty.update(entries)


def _merged(found: Found, here: Found) -> Found:
    """Add the users of this server to those of the others."""
    for user, devices in here.items():
        found.setdefault(user, {}).update(devices)
    return found


def _read(rows: list[Any]) -> Found:
    """Read instance, `user \\0 devices`, …; entries that somebody else has written are skipped."""
    found: Found = {}
    for instance, entry in zip(rows[::2], rows[1::2], strict=True):
        user, devices = suffix(entry)
        if devices.isdigit():
            found.setdefault(user, {})[decode_user(instance)] = int(devices[:9])
    return found


class KnownPeers:
    """The other instances that heartbeats have seen, and those that are not back after a loss of data."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds after a loss of data, after which a missing instance counts as gone."""
        self._patience = patience
        self._live: frozenset[bytes] = frozenset()
        self._awaited: frozenset[bytes] = frozenset()
        self._until = 0.0

    def update(self, live: Iterable[bytes], now: float, *, lost_data: bool) -> None:
        """Note the instances of a heartbeat; `now` is the time of the event loop."""
        before, self._live = self._live, frozenset(live)
        if lost_data:
            self._awaited, self._until = self._awaited | before, now + self._patience
        self._awaited = self._awaited - self._live if now < self._until else frozenset()

    def missing(self, live: Iterable[bytes]) -> bool:
        """Return whether an instance that was there before the loss is not among `live` yet."""
        return not self._awaited.issubset(live)
