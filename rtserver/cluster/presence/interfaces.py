"""What every presence does, whatever it keeps its knowledge in. One test suite runs over all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence.announcer import Callback
from rtserver.sio.broadcast.room_presence import RoomPresence


class Presence(Protocol):
    """Questions are answered for the whole cluster. While Redis is down the answer is what this server sees itself,
    and `partial`."""

    @property
    def rooms(self) -> RoomPresence:
        """Who is in which room."""
        ...

    async def connected(self, user: str, sid: str) -> None:
        """A device came. Waits a tenth of a second at most, and never fails."""

    async def disconnected(self, user: str, sid: str) -> None:
        """A device went. Never waits, never fails."""

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        """Those of `users` that are online."""
        ...

    async def all_online(self, limit: int = 1000) -> PartialList[str]: ...

    async def devices(self, users: Sequence[str]) -> dict[str, dict[str, int]]:
        """How many devices these have on which instance; raises `Unavailable`."""
        ...

    def subscribe(self, callback: Callback) -> None:
        """`await callback(user, online)` for each change, on exactly one server of the cluster."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...
