"""Broadcast operator: selects clients, then acts on them, as in Node.

    await ns.to("a", "b").except_("c").volatile.emit("news", {"id": 1})

It is immutable: every step returns a new operator, so one may be kept and used again.
Source: https://socket.io/docs/v4/server-api/#namespace and `BroadcastOperator` of the Node server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.room_names import RoomName, flat_rooms
from rtserver.sio.broadcast.target import ALL_CLIENTS, Page, Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.adapter import Adapter

DEFAULT_ACK_TIMEOUT = 10.0
RESERVED_SERVER_EVENTS = frozenset({"connect", "connection", "new_namespace"})


class Operator:
    """A namespace, a target and the adapter that carries out the operations."""

    __slots__ = ("_adapter", "_namespace", "_target")

    def __init__(self, adapter: Adapter, namespace: str, target: Target = ALL_CLIENTS) -> None:
        self._adapter = adapter
        self._namespace = namespace
        self._target = target

    @property
    def namespace(self) -> str:
        return self._namespace

    def _with(self, target: Target) -> Operator:
        return Operator(self._adapter, self._namespace, target)

    def _flag(self, **flags: Any) -> Operator:
        target = self._target
        return self._with(Target(target.rooms, target.except_, target.flags._replace(**flags)))

    def to(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """Also address the members of these rooms; a client in several of them is addressed once."""
        target = self._target
        target = Target(target.rooms + flat_rooms(rooms), target.except_, target.flags)
        return Operator(self._adapter, self._namespace, target)

    in_ = to

    def except_(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """Exclude the members of these rooms."""
        return self._with(Target(self._target.rooms, self._target.except_ + flat_rooms(rooms), self._target.flags))

    @property
    def volatile(self) -> Operator:
        """The event may be dropped for a client that is not ready to receive it."""
        return self._flag(volatile=True)

    @property
    def local(self) -> Operator:
        """Address clients of this server only."""
        return self._flag(local=True)

    def compress(self, on: bool) -> Operator:
        """With `False`, the event is not compressed, even where WebSockets are."""
        return self._flag(compress=on)

    def page(self, limit: int, after: str = "") -> Operator:
        """Make `fetch_sockets` return at least the `limit` sockets that follow the id `after`, rather than all."""
        return self._flag(page=Page(after, limit))

    def keep(self, keep: Callable[[Any], Any]) -> Operator:
        """Make `emit_with_ack` store and return `keep(answer)` in place of each answer."""
        return self._flag(keep=keep)

    def timeout(self, seconds: float) -> Operator:
        """Set how long `emit_with_ack` waits."""
        return self._flag(timeout=seconds)

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to all addressed clients. Does not wait for delivery."""
        self._adapter.broadcast(self._namespace, [check_event_name(event), *args], self._target)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Emit and return the first ack argument of each client.

        Raises `AckTimeout` (with `.responses`) when not all clients answer in time.
        """
        timeout = self._target.flags.timeout or DEFAULT_ACK_TIMEOUT
        return await self._adapter.broadcast_with_ack(
            self._namespace, [check_event_name(event), *args], self._target, timeout
        )

    async def fetch_sockets(self) -> list[RemoteSocket]:
        """Snapshots of the addressed sockets, cluster-wide."""
        return await self._adapter.fetch_sockets(self._namespace, self._target)

    async def sockets_join(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make the addressed clients join these rooms; rooms beyond a client's limits are left out."""
        await self._adapter.sockets_join(self._namespace, self._target, flat_rooms(rooms))

    async def sockets_leave(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make the addressed clients leave these rooms."""
        await self._adapter.sockets_leave(self._namespace, self._target, flat_rooms(rooms))

    async def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect the addressed clients from the namespace; with `close`, close their connections."""
        await self._adapter.disconnect_sockets(self._namespace, self._target, close)

    async def server_side_emit(self, name: str, *args: Any) -> None:
        """Call `@server_event(name)` of this namespace on the other servers; does not wait."""
        await self._adapter.server_side_emit(self._namespace, [check_server_event_name(name), *args])

    async def server_side_emit_with_ack(self, name: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT) -> list[Any]:
        """The return values of `@server_event(name)` on the other servers; `timeout` is in seconds."""
        args = (check_server_event_name(name), *args)
        return await self._adapter.server_side_emit_with_ack(self._namespace, list(args), timeout)

    async def all_rooms(self) -> set[str]:
        """The names of all rooms of the namespace, cluster-wide, socket ids included."""
        return await self._adapter.all_rooms(self._namespace)


def check_event_name(event: str) -> str:
    """`event` itself; raises `ValueError` for a name that the protocol reserves."""
    if event in RESERVED_EVENTS:
        raise ValueError(f'"{event}" is a reserved event name')
    return event


def check_server_event_name(name: str) -> str:
    """`name` itself; raises `ValueError` for one that would run the connection handlers of a Node server."""
    if name in RESERVED_SERVER_EVENTS:
        raise ValueError(f'"{name}" is a reserved event name between servers')
    return name
