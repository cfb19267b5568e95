"""The broadcast operator: whom to address, then what to do. It reads like Node's.

    await ns.to("a", "b").except_("c").volatile.emit("news", {"id": 1})

Immutable: every step gives a new one, so an operator may be kept and used again.
Source: https://socket.io/docs/v4/server-api/#namespace and `BroadcastOperator` of the Node server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast

from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.target import EVERYBODY, Page, Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.adapter import Adapter

DEFAULT_ACK_TIMEOUT = 10.0
RESERVED_SERVER_EVENTS = frozenset({"connect", "connection", "new_namespace"})


class Operator:
    __slots__ = ("_adapter", "_namespace", "_target")

    def __init__(self, adapter: Adapter, namespace: str, target: Target = EVERYBODY) -> None:
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

    def to(self, *rooms: str | Iterable[str]) -> Operator:
        """Address the members of these rooms too; a client in several of them is addressed once."""
        target = self._target
        target = Target(target.rooms + flat_rooms(rooms), target.except_, target.flags)
        return Operator(self._adapter, self._namespace, target)

    in_ = to

    def except_(self, *rooms: str | Iterable[str]) -> Operator:
        """Leave out whoever is in one of these rooms."""
        return self._with(Target(self._target.rooms, self._target.except_ + flat_rooms(rooms), self._target.flags))

    @property
    def volatile(self) -> Operator:
        """The event may be dropped for a client that cannot take it now."""
        return self._flag(volatile=True)

    @property
    def local(self) -> Operator:
        """Clients of this server only."""
        return self._flag(local=True)

    def compress(self, on: bool) -> Operator:
        """`False`: not worth it, where WebSockets are compressed."""
        return self._flag(compress=on)

    def page(self, limit: int, after: str = "") -> Operator:
        """`fetch_sockets` gives at least the `limit` sockets that follow the id `after`, but not everybody's."""
        return self._flag(page=Page(after, limit))

    def keep(self, keep: Callable[[Any], Any]) -> Operator:
        """`emit_with_ack` gives `keep(answer)` for each answer, and holds no more than that of it."""
        return self._flag(keep=keep)

    def timeout(self, seconds: float) -> Operator:
        """How long `emit_with_ack` waits."""
        return self._flag(timeout=seconds)

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to everybody addressed. Does not wait for delivery."""
        self._adapter.broadcast(self._namespace, [check_event_name(event), *args], self._target)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Everybody's first ack argument; raises `AckTimeout` (with `.responses`) when not all answered in time."""
        timeout = self._target.flags.timeout or DEFAULT_ACK_TIMEOUT
        return await self._adapter.broadcast_with_ack(
            self._namespace, [check_event_name(event), *args], self._target, timeout
        )

    async def fetch_sockets(self) -> list[RemoteSocket]:
        return await self._adapter.fetch_sockets(self._namespace, self._target)

    async def sockets_join(self, *rooms: str | Iterable[str]) -> None:
        await self._adapter.sockets_join(self._namespace, self._target, flat_rooms(rooms))

    async def sockets_leave(self, *rooms: str | Iterable[str]) -> None:
        await self._adapter.sockets_leave(self._namespace, self._target, flat_rooms(rooms))

    async def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect from the namespace; with `close`, close the whole connection."""
        await self._adapter.disconnect_sockets(self._namespace, self._target, close)

    async def server_side_emit(self, name: str, *args: Any) -> None:
        """Call `@server_event(name)` of this namespace on the other servers."""
        await self._adapter.server_side_emit(self._namespace, [check_server_event_name(name), *args])

    async def server_side_emit_with_ack(self, name: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT) -> list[Any]:
        """What `@server_event(name)` returned on each of the other servers; `timeout` is in seconds."""
        args = (check_server_event_name(name), *args)
        return await self._adapter.server_side_emit_with_ack(self._namespace, list(args), timeout)

    async def all_rooms(self) -> set[str]:
        return await self._adapter.all_rooms(self._namespace)


def check_event_name(event: str) -> str:
    if event in RESERVED_EVENTS:
        raise ValueError(f'"{event}" is a reserved event name')
    return event


def check_server_event_name(name: str) -> str:
    """On Node's servers these would run the handlers of new connections."""
    if name in RESERVED_SERVER_EVENTS:
        raise ValueError(f'"{name}" is a reserved event name between servers')
    return name


def flat_rooms(rooms: tuple[str | Iterable[str], ...]) -> tuple[str, ...]:
    """Rooms may be given one by one or as a collection, as in Node."""
    if len(rooms) == 1 and isinstance(rooms[0], str):
        return cast("tuple[str]", rooms)
    flat: list[str] = []
    for room in rooms:
        if isinstance(room, str):
            flat.append(room)
        else:
            flat.extend(room)
    return tuple(flat)
