"""In-memory presence, for a single server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence.announcer import Announcer, Callback
from rtserver.cluster.presence.devices import Devices
from rtserver.sio.broadcast.room_presence import RoomPresence


class MemoryPresence:
    """`grace`: seconds a user stays online after the last device left."""

    def __init__(self, grace: float = 3.0, *, instance: str = "local") -> None:
        self._instance = instance
        self._announcer = Announcer()
        self._devices = Devices(grace, self._on_grace_over)
        self.rooms = RoomPresence(instance)

    async def connected(self, user: str, sid: str) -> None:
        was_online = user in self._devices
        if self._devices.add(user, sid) and not was_online:
            self._announcer.announce(user, True)

    async def disconnected(self, user: str, sid: str) -> None:
        self._devices.remove(user, sid)

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        return PartialSet(user for user in users if user in self._devices)

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        return PartialList(islice(self._devices.present(), max(limit, 0)))

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        return {user: {self._instance: self._devices.count(user)} for user in users if self._devices.has(user)}

    def subscribe(self, callback: Callback) -> None:
        self._announcer.subscribe(callback)

    def on_crash(self, watcher: Callable[[], None]) -> None:
        """There are no other instances."""

    async def start(self) -> None:
        self._announcer.start()

    async def stop(self) -> None:
        self._devices.stop()
        await self._announcer.stop()

    def _on_grace_over(self, user: str) -> None:
        self._announcer.announce(user, False)
