"""Cache of room settings, so that a message needs no query.

1. A change is announced to all servers at once (`RoomAdmin`), and each invalidates its entry. An answer of the database
   that was on its way at that moment is not cached.
2. If the announcement is lost with Redis, an entry is at most `SECONDS` old. One caller then reloads it, while the
   others go on with the old entry.
3. While the database is unavailable, expired entries are used further: live events do not depend on it.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

from rtserver.errors import Unavailable
from rtserver.namespaces.chat.interfaces import RoomSettingsStore
from rtserver.store.rooms.room_settings import RoomSettings

SECONDS = 10.0
LIMIT = 10_000
"""Rooms in the cache; the one loaded longest ago is dropped first."""


class _Entry:
    __slots__ = ("settings", "until")

    def __init__(self, settings: RoomSettings, until: float) -> None:
        self.settings = settings
        self.until = until


class RoomSettingsCache:
    """`clock`: seconds, monotonic."""

    def __init__(self, store: RoomSettingsStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self.changes = 0
        """How many changes were announced: equal before and after an await, what was read in between is still true."""

    async def get(self, room: str) -> RoomSettings:
        """The settings of `room`; the defaults where it does not exist. Raises `Unavailable` without an entry."""
        entry = self._entries.get(room)
        if entry is None:
            return await self._load(room)
        if entry.until > self._clock():
            return entry.settings
        entry.until = self._clock() + SECONDS  # other callers use this entry until it is reloaded
        try:
            return await self._load(room)
        except Unavailable:
            return entry.settings

    def invalidate(self, room: str) -> None:
        """Drop the entry of a room."""
        self._entries.pop(room, None)
        self.changes += 1

    def invalidate_all(self) -> None:
        """Drop all entries."""
        self._entries.clear()
        self.changes += 1

    async def _load(self, room: str) -> RoomSettings:
        changes = self.changes
        settings = await self._store.find(room) or RoomSettings(room)
        if changes == self.changes:
            self._entries[room] = _Entry(settings, self._clock() + SECONDS)
            self._entries.move_to_end(room)
            if len(self._entries) > LIMIT:
                self._entries.popitem(last=False)
        return settings
