"""Room presence of a cluster: which clients are in which room now, in Redis, under the leases of presence.

1. Joining and leaving do not wait: changes are noted, and one task reports the state as it stands by then.
2. Each heartbeat compares; after a FLUSHALL, a restart or an outage everything is reported again, beside what is there,
   which it then replaces. A few entries are reported again each time in any case.
3. While the report is incomplete (an outage, a loss of data), the mark of the epoch is missing, and the other instances
   call their answers partial.
4. A server knows its own clients; of the others only Redis tells. Nothing grows while Redis is away.
5. After a loss of data, an instance waits for the peers that the heartbeats saw before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from rtserver.cluster.presence.queries import PATIENCE
from rtserver.cluster.presence.room_scripts import AMONG, COMPLETE, END, PAGE, TELL, prefix, suffix
from rtserver.cluster.presence.scripts import CHUNK, KEY, chunks
from rtserver.cluster.presence.user_ids import decode_user
from rtserver.cluster.redis.bus import RedisBus
from rtserver.errors import Unavailable
from rtserver.sio.broadcast.room_presence import MOST, Found, Occupants, Place, RoomPresence, bounded, chosen, page

Entry = tuple[Place, str]


class Seen(NamedTuple):
    """What a heartbeat found: whether everything has been said in this `epoch`, the size of P:in:<me>, who is there."""

    epoch: bytes
    complete: int
    size: int
    live: list[bytes]


class RedisRoomPresence(RoomPresence):
    """`lease` is in seconds. The heartbeats of presence drive it; before the first, nothing is said."""

    def __init__(self, bus: RedisBus, instance: str, *, lease: float = 8.0, key: str = KEY) -> None:
        super().__init__(instance)
        self._bus, self._key, self._lease = bus, key, round(lease * 1000)
        self._mine, self._new = f"{key}:in:{instance}", f"{key}:new:{instance}"
        self._peers = Peers(lease)
        self._epoch = b""
        self.stale = True
        """What Redis has is not what is: everything must be said again."""
        self._again = False
        self._size = 0
        self._dirty: set[Entry] = set()
        self._round: Iterator[Entry] = iter(())
        self._telling: asyncio.Task[None] | None = None

    async def stop(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    def beaten(self, seen: Seen) -> None:
        """The lease is renewed."""
        epoch, complete, size, live = seen
        lost_data = epoch != self._epoch and bool(self._epoch)
        others = (instance for instance in live if decode_user(instance) != self.instance)
        self._peers.seen(others, asyncio.get_running_loop().time(), lost_data=lost_data)
        self._epoch = epoch
        if self.stale or not complete or size != self._size:
            self._again = True
        else:
            self._remind()
        self._tell_soon()

    async def page(self, namespace: str, room: str, after: str | None = None, limit: int = MOST) -> Occupants:
        place = (namespace, room)
        start = b"[" + prefix(*place) if after is None else b"(" + prefix(*place, after) + END
        partial, found = await self._others(PAGE, place, start, bounded(limit) + 1)
        return page(_merged(found, self._page_here(place, after, limit)), limit, partial=partial)

    async def among(self, namespace: str, room: str, users: Sequence[str]) -> Occupants:
        place, partial, found = (namespace, room), False, Found()
        for part in chunks(users):
            lacking, more = await self._others(AMONG, place, *map(prefix, part))
            partial |= lacking
            found |= more
        return chosen(_merged(found, self._among_here(place, users)), users, partial=partial)

    async def _others(self, script: str, place: Place, *args: bytes | int) -> tuple[bool, Found]:
        """Whether somebody is missing, and who is there on the other servers."""
        fixed = ("EVAL", script, 1, self._key, self.instance, self._lease, prefix(*place))
        try:
            epoch, silent, live, told = await self._bus.ask(*fixed, *args, timeout=PATIENCE)
        except Unavailable:
            return True, {}
        return bool(silent) or epoch != self._epoch or self._peers.missing(live), _read(told)

    # What is said.

    def _changed(self, place: Place, user: str) -> None:
        if not self.stale:
            self._dirty.add((place, user))
            self._tell_soon()

    def _tell_soon(self) -> None:
        if self._telling is None:
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        try:
            await asyncio.sleep(0)  # for all that changes in this turn
            while self._again or self._dirty:
                if self._again:
                    await self._say_again()
                else:
                    entries, self._dirty = self._dirty, set()
                    await self._say(self._mine, entries)
        except Unavailable:
            self.stale, self._again, self._dirty = True, False, set()
        finally:
            self._telling = None

    async def _say(self, key: str, entries: Iterable[Entry]) -> None:
        for part in chunks(list(entries)):
            pairs = [value for place, user in part for value in (prefix(*place, user), self.devices(place, user))]
            self._size += await self._bus.call("EVAL", TELL, 1, key, *pairs)

    async def _say_again(self) -> None:
        """Beside what is there. What changes meanwhile is noted, and said afterwards."""
        epoch, self.stale = self._epoch, False
        self._dirty.clear()
        await self._bus.call("UNLINK", self._new)
        await self._say(self._new, self)
        self._size = await self._bus.call("EVAL", COMPLETE, 2, self._new, self._mine, END + epoch)
        self._again = False

    def _remind(self) -> None:
        """Say a few again, for what others may have done to the key."""
        entries = list(islice(self._round, CHUNK))
        if not entries:
            self._round = iter(list(self))
            entries = list(islice(self._round, CHUNK))
        self._dirty.update(entries)


def _merged(found: Found, here: Found) -> Found:
    for user, devices in here.items():
        found.setdefault(user, {}).update(devices)
    return found


def _read(told: list[Any]) -> Found:
    """An instance, `user \\0 devices`…; what others have written there is passed over."""
    found: Found = {}
    for instance, entry in zip(told[::2], told[1::2], strict=True):
        user, devices = suffix(entry)
        if devices.isdigit():
            found.setdefault(user, {})[decode_user(instance)] = int(devices[:9])
    return found


class Peers:
    def __init__(self, patience: float) -> None:
        """`patience`: seconds after which one that is not back counts as gone."""
        self._patience = patience
        self._live: frozenset[bytes] = frozenset()
        self._awaited: frozenset[bytes] = frozenset()
        self._until = 0.0

    def seen(self, live: Iterable[bytes], now: float, *, lost_data: bool) -> None:
        """With a heartbeat."""
        before, self._live = self._live, frozenset(live)
        if lost_data:
            self._awaited, self._until = self._awaited | before, now + self._patience
        self._awaited = self._awaited - self._live if now < self._until else frozenset()

    def missing(self, live: Iterable[bytes]) -> bool:
        """Whether one that was there before the loss has not come back yet."""
        return not self._awaited.issubset(live)
