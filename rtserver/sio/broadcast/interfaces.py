"""Interfaces of this folder: the server as its adapter sees it, the adapter as remote sockets see it.

They are types only. Modules import them under `TYPE_CHECKING`, so that no import points up the staircase
`server → connection → namespace → client → dispatch → broadcast`, and they cost nothing at run time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.sio.broadcast.encoding import Encode
    from rtserver.sio.broadcast.rooms import Rooms
    from rtserver.sio.broadcast.target import Target
    from rtserver.telemetry.metrics import Metrics


class OutgoingObservers(Protocol):
    """Observers of the events that leave for clients (`client.on_any_outgoing`); empty, and so false, for most."""

    def __len__(self) -> int: ...

    def show(self, clients: Iterable[Any], args: list[Any]) -> None: ...

    def add(self, client: Any, observer: Callable[..., object]) -> None: ...

    def remove(self, client: Any, observer: Callable[..., object] | None = None) -> None: ...


class RoomLimits(Protocol):
    """The limits on joining rooms (`rtserver.sio.limits.limits.Limits`)."""

    @property
    def max_rooms(self) -> int: ...

    @property
    def max_room_length(self) -> int: ...


class AdapterContext(Protocol):
    """The server as its adapter sees it."""

    @property
    def instance_id(self) -> str: ...

    @property
    def engine(self) -> Engine: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def limits(self) -> RoomLimits: ...

    @property
    def rooms_of(self) -> Callable[[str], Rooms[Any] | None]: ...

    @property
    def encode_packet(self) -> Encode: ...

    @property
    def outgoing_observers(self) -> OutgoingObservers: ...

    def has_namespace(self, name: str) -> bool: ...

    async def handle_server_event(self, name: str, args: list[Any]) -> Any: ...


class RemoteOperations(Protocol):
    """What a `RemoteSocket` asks of the adapter that found it."""

    def broadcast(self, nsp: str, args: list[Any], target: Target) -> None: ...

    async def broadcast_with_ack(self, nsp: str, args: list[Any], target: Target, timeout: float) -> list[Any]: ...

    async def sockets_join(self, nsp: str, target: Target, rooms: Iterable[str]) -> None: ...

    async def sockets_leave(self, nsp: str, target: Target, rooms: Iterable[str]) -> None: ...

    async def disconnect_sockets(self, nsp: str, target: Target, close: bool) -> None: ...
