"""`RemoteSocket`: a snapshot of a socket anywhere in the cluster, as `fetch_sockets` returns it.

Its methods act on the real socket, through the adapter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rtserver.sio.broadcast.room_names import RoomName, flat_rooms
from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.interfaces import RemoteOperations


@dataclass(slots=True)
class RemoteSocket:
    """`user`, `transport` and `instance` are None for a socket of a Node server, which does not report them."""

    adapter: RemoteOperations = field(repr=False)
    namespace: str
    id: str
    rooms: set[str]
    data: dict[str, Any]
    handshake: dict[str, Any] = field(repr=False)
    user: str | None = None
    transport: str | None = None
    instance: str | None = None

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to this socket. Does not wait for delivery."""
        self.adapter.broadcast(self.namespace, [event, *args], self._target)

    async def emit_with_ack(self, event: str, *args: Any, timeout: float = 10.0) -> Any:
        """Emit and return the first value of the ack; None when the client left meanwhile.

        Raises `AckTimeout` after `timeout` seconds.
        """
        answers = await self.adapter.broadcast_with_ack(self.namespace, [event, *args], self._target, timeout)
        return answers[0] if answers else None

    async def join(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make the socket join these rooms."""
        await self.adapter.sockets_join(self.namespace, self._target, flat_rooms(rooms))

    async def leave(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make the socket leave these rooms."""
        await self.adapter.sockets_leave(self.namespace, self._target, flat_rooms(rooms))

    async def disconnect(self, close: bool = False) -> None:
        """Disconnect from the namespace; with `close`, close the whole connection."""
        await self.adapter.disconnect_sockets(self.namespace, self._target, close)

    @property
    def _target(self) -> Target:
        return Target(rooms=(self.id,))
