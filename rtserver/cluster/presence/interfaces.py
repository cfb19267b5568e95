"""The interface of presence, in memory or in Redis. One test suite runs over all implementations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence.announcer import Callback
from rtserver.sio.broadcast.room_presence import RoomPresence


class Presence(Protocol):
    """Answers are for the whole cluster. While Redis is down they contain what this server sees itself, and are
    `partial`."""

    @property
    def rooms(self) -> RoomPresence:
        """The users in each room."""
        ...

    async def connected(self, user: str, sid: str) -> None:
        """Add a device. Waits a tenth of a second at most, and never raises."""

    async def disconnected(self, user: str, sid: str) -> None:
        """Remove a device. Never waits, never raises."""

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        """Return those of `users` that are online."""
        ...

    async def all_online(self, limit: int = 1000) -> PartialList[str]:
        """Return up to `limit` users that are online."""
        ...

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        """Return the number of devices by user and instance; raises `Unavailable`."""
        ...

    def subscribe(self, callback: Callback) -> None:
        """Add a subscriber: `await callback(user, online)` for each change, on exactly one server of the cluster."""

    def on_crash(self, watcher: Callable[[], None]) -> None:
        """Call `watcher()` soon after an instance of the cluster has ended without leaving it, on every instance."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
