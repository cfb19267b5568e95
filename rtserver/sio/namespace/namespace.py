"""`Namespace`: the base class for an application's events.

class Tracking(Namespace, path="/tracking"):
    @event("joinOrder", rate="10/s")
    async def join_order(self, client: Client, order_id: str) -> dict:
        await client.join(f"order:{order_id}")
        return {"ok": True}
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from rtserver.sio.broadcast.operator import DEFAULT_ACK_TIMEOUT, Operator
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.room_names import RoomName, room_name
from rtserver.sio.broadcast.room_presence import MOST, Occupants
from rtserver.sio.client.client import Client
from rtserver.sio.dispatch.event_table import EventHandler, build_server_table, build_table, event, server_event
from rtserver.sio.dispatch.interfaces import AuthMode

if TYPE_CHECKING:
    from rtserver.sio.dispatch.interfaces import ServerContext

__all__ = ["Client", "Namespace", "event", "server_event"]


PathFunction = Callable[[str, Mapping[str, Any] | None], bool | Awaitable[bool]]
Step = TypeVar("Step", bound=Callable[[Client], Any])


class Namespace:
    """Subclass it with a `path`.

    `path`: a name such as "/tracking". For dynamic namespaces a compiled pattern, or a function (or method), plain or
    async, that gets the name and the client's `auth` and returns whether there is such a namespace.
    `auth`: whether a checked identity is "required", "optional" or not looked for ("none").
    `roles`: the identity must have one of these; empty = any identity.
    `room_presence`: track which users are in which room, for `occupants`.
    """

    path: str | re.Pattern[str] | PathFunction
    auth: AuthMode = "required"
    roles: frozenset[str] = frozenset()
    room_presence: bool = False
    server: ServerContext

    _event_table: ClassVar[dict[str, EventHandler]] = {}
    _server_event_table: ClassVar[dict[str, str]] = {}

    middleware: tuple[Callable[[Client], Any], ...] = ()
    """The steps that `use` added."""

    def __init_subclass__(cls, path: str | re.Pattern[str] | PathFunction | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if path is not None:
            # A function given here is not a method.
            cls.path = cast("PathFunction", staticmethod(path)) if inspect.isfunction(path) else path
        cls._event_table = build_table(cls)
        cls._server_event_table = build_server_table(cls)

    # Hooks to override.

    async def on_start(self) -> None:
        """The server starts; no client is connected yet."""

    async def on_stop(self) -> None:
        """The server stops; no client is connected any more."""

    async def on_connect(self, client: Client) -> None:
        """Raise `Refused` to refuse the client. Events emitted to `client` here arrive after CONNECT."""

    async def on_connected(self, client: Client) -> None:
        """CONNECT was sent to the client, and broadcasts reach it."""

    async def on_event(self, client: Client, event: str, args: list[Any]) -> list[Any] | None:
        """Middleware for every event, after its rate limit and before its arguments are checked.

        Change `args`, return other arguments, or raise an `EventError`, which is the answer. None keeps the arguments.
        """
        return None

    async def on_disconnecting(self, client: Client, reason: str) -> None:
        """The client is leaving: nothing reaches it any more, but `fetch_sockets` still lists it in its rooms."""

    async def on_disconnect(self, client: Client, reason: str) -> None:
        """The client is gone; `client.rooms` still has the rooms it was in. Handlers of its events may still run."""

    def use(self, step: Step) -> Step:
        """Run `step(client)`, plain or async, before `on_connect`; it may raise `Refused`."""
        self.middleware += (step,)
        return step

    # Addressing clients, cluster-wide. Each method starts a `rtserver.sio.broadcast.operator.Operator`.

    def of(self, name: str) -> Operator:
        """All clients of one concrete namespace; needed where `path` is a pattern or a function."""
        return Operator(self.server.adapter, name)

    @property
    def _all_clients(self) -> Operator:
        if not isinstance(self.path, str):
            raise TypeError("a dynamic namespace addresses its clients by self.of(name)")
        return Operator(self.server.adapter, self.path)

    @property
    def clients(self) -> Mapping[str, Client]:
        """The clients on this server, by socket id."""
        if not isinstance(self.path, str):
            raise TypeError("a dynamic namespace has clients in each of its names")
        rooms = self.server.rooms_of(self.path)
        return MappingProxyType(dict(rooms.clients) if rooms is not None else {})

    def to(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """Address the members of these rooms; a client in several of them is addressed once."""
        return self._all_clients.to(*rooms)

    in_ = to

    def except_(self, *rooms: RoomName | Iterable[RoomName]) -> Operator:
        """Address all clients except the members of these rooms."""
        return self._all_clients.except_(*rooms)

    @property
    def volatile(self) -> Operator:
        """Address all clients; the event may be dropped for those that are not ready to receive it."""
        return self._all_clients.volatile

    @property
    def local(self) -> Operator:
        """Address the clients of this server only."""
        return self._all_clients.local

    def compress(self, on: bool) -> Operator:
        """With `False`, the event is not compressed, even where WebSockets are."""
        return self._all_clients.compress(on)

    def timeout(self, seconds: float) -> Operator:
        """Set how long `emit_with_ack` waits."""
        return self._all_clients.timeout(seconds)

    async def emit(self, event: str, *args: Any) -> None:
        """Emit to all clients. Does not wait for delivery."""
        await self._all_clients.emit(event, *args)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        """Emit to all clients and return the first ack argument of each; raises `AckTimeout`."""
        return await self._all_clients.emit_with_ack(event, *args)

    async def fetch_sockets(self) -> list[RemoteSocket]:
        """Snapshots of all sockets of the namespace."""
        return await self._all_clients.fetch_sockets()

    async def sockets_join(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make all clients join these rooms."""
        await self._all_clients.sockets_join(*rooms)

    async def sockets_leave(self, *rooms: RoomName | Iterable[RoomName]) -> None:
        """Make all clients leave these rooms."""
        await self._all_clients.sockets_leave(*rooms)

    async def disconnect_sockets(self, close: bool = False) -> None:
        """Disconnect all clients; with `close`, close their connections."""
        await self._all_clients.disconnect_sockets(close)

    async def all_rooms(self) -> set[str]:
        """The names of all rooms, socket ids included."""
        return await self._all_clients.all_rooms()

    async def occupants(
        self,
        room: RoomName,
        *,
        users: Sequence[str] | None = None,
        after: str | None = None,
        limit: int = MOST,
        of: str | None = None,
    ) -> Occupants:
        """The users in `room` now, ordered by id, with the number of devices on each instance.

        Needs `room_presence`. Returns either those of `users`, or a page; for the next page pass `next` of the answer
        as `after`. `of`: the concrete name, in a dynamic namespace.
        """
        name, room_presence = self._tracked_name(of), self.server.room_presence
        if users is not None:
            return await room_presence.among(name, room_name(room), users)
        return await room_presence.page(name, room_name(room), after, limit)

    def _tracked_name(self, name: str | None) -> str:
        if not self.room_presence:
            raise TypeError("only a namespace with room_presence = True knows which users are in its rooms")
        if name is None and not isinstance(self.path, str):
            raise TypeError("a dynamic namespace has rooms in each of its names: occupants(room, of=name)")
        return name or cast("str", self.path)

    # Between servers.

    async def server_side_emit(self, name: str, *args: Any) -> None:
        """Call `@server_event(name)` on the other servers."""
        await self._all_clients.server_side_emit(name, *args)

    async def server_side_emit_with_ack(self, name: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT) -> list[Any]:
        """The return values of `@server_event(name)` on the other servers; `timeout` is in seconds."""
        return await self._all_clients.server_side_emit_with_ack(name, *args, timeout=timeout)


def path_text(namespace: Namespace) -> str:
    """The namespace's name in metrics and in the registry: the path, the text of its pattern, or the class name."""
    path = namespace.path
    if isinstance(path, str):
        return path
    return path.pattern if isinstance(path, re.Pattern) else type(namespace).__qualname__
