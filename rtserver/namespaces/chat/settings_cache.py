"""What rooms are set to, remembered, so that a message asks the database for nothing.

1. A change is told to all servers at once (`Keeper`), and each forgets what it knew. An answer of the database that was
   on its way meanwhile is not kept.
2. Should that word be lost with Redis, what is remembered is `SECONDS` old at the most; one asks anew, for all.
3. While the database is gone what was known goes on: live events do not need it.
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
"""Rooms that are remembered: those asked for last."""


class _Entry:
    __slots__ = ("settings", "until")

    def __init__(self, settings: RoomSettings, until: float) -> None:
        self.settings = settings
        self.until = until


class RoomSettingsCache:
    def __init__(self, store: RoomSettingsStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._invalidations = 0

    async def get(self, room: str) -> RoomSettings:
        """What it is set to; the defaults where there is no such room."""
        entry = self._entries.get(room)
        if entry is None:
            return await self._load(room)
        if entry.until > self._clock():
            return entry.settings
        entry.until = self._clock() + SECONDS  # the others go on with this one meanwhile
        try:
            return await self._load(room)
        except Unavailable:
            return entry.settings

    def invalidate(self, room: str) -> None:
        self._entries.pop(room, None)
        self._invalidations += 1

    def invalidate_all(self) -> None:
        self._entries.clear()
        self._invalidations += 1

    async def _load(self, room: str) -> RoomSettings:
        invalidations = self._invalidations
        settings = await self._store.find(room) or RoomSettings(room)
        if invalidations == self._invalidations:
            self._entries[room] = _Entry(settings, self._clock() + SECONDS)
            self._entries.move_to_end(room)
            if len(self._entries) > LIMIT:
                self._entries.popitem(last=False)
        return settings
