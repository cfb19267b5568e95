"""`Namespace`, the class that a team writes its events in, and how the server drives it.

    class Tracking(Namespace, path="/tracking"):
        @event("joinOrder", rate="10/s")
        async def join_order(self, client: Client, order_id: str) -> dict:
            await client.join(f"order:{order_id}")
            return {"ok": True}
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from rtserver.sio.client import Client
from rtserver.sio.handler import AuthMode
from rtserver.sio.operator import DEFAULT_ACK_TIMEOUT, Operator
from rtserver.sio.remote import RemoteSocket
from rtserver.sio.table import (
    Entry,
    build_server_table,
    build_table,
    event,
    server_event,
)

if TYPE_CHECKING:
    from rtserver.sio.server import Server

__all__ = ["Client", "Namespace", "event", "server_event"]


class Namespace:
    """Subclass it with a `path`: a name such as "/tracking", or a compiled pattern for dynamic namespaces.

    `auth`: whether a checked identity is "required", "optional" or not looked for ("none").
    `roles`: one of these is needed; empty = every identity.
    """

    path: ClassVar[str | re.Pattern[str]]
    auth: AuthMode = "required"
    roles: frozenset[str] = frozenset()
    server: Server

    _event_table: ClassVar[dict[str, Entry]] = {}
    _server_event_table: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls, path: str | re.Pattern[str] | None = None, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if path is not None:
            cls.path = path
        cls._event_table = build_table(cls)
        cls._server_event_table = build_server_table(cls)

    # Override what you need.

    async def on_start(self) -> None:
        """The server runs; no client is here yet."""

    async def on_stop(self) -> None:
        """The server stops; no client is here any more."""

    async def on_connect(self, client: Client) -> None:
        """Raise `Refused` to refuse. What is emitted to `client` here arrives after CONNECT."""

    async def on_connected(self, client: Client) -> None:
        """The client was told that it is connected, and broadcasts reach it."""

    async def on_disconnect(self, client: Client, reason: str) -> None:
        """The client is gone; `client.rooms` still tells the rooms it was in."""

    # Addressing clients, cluster-wide.

    def of(self, name: str) -> Operator:
        """Everybody in one concrete namespace: needed where `path` is a pattern."""
        return Operator(self.server.adapter, name)

    @property
    def _everybody(self) -> Operator:
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

    def to(self, *rooms: str | Iterable[str]) -> Operator:
        return self._everybody.to(*rooms)

    in_ = to

    def except_(self, *rooms: str | Iterable[str]) -> Operator:
        return self._everybody.except_(*rooms)

    @property
    def volatile(self) -> Operator:
        return self._everybody.volatile

    @property
    def local(self) -> Operator:
        return self._everybody.local

    def compress(self, on: bool) -> Operator:
        return self._everybody.compress(on)

    def timeout(self, seconds: float) -> Operator:
        return self._everybody.timeout(seconds)

    async def emit(self, event: str, *args: Any) -> None:
        await self._everybody.emit(event, *args)

    async def emit_with_ack(self, event: str, *args: Any) -> list[Any]:
        return await self._everybody.emit_with_ack(event, *args)

    async def fetch_sockets(self) -> list[RemoteSocket]:
        return await self._everybody.fetch_sockets()

    async def sockets_join(self, *rooms: str | Iterable[str]) -> None:
        await self._everybody.sockets_join(*rooms)

    async def sockets_leave(self, *rooms: str | Iterable[str]) -> None:
        await self._everybody.sockets_leave(*rooms)

    async def disconnect_sockets(self, close: bool = False) -> None:
        await self._everybody.disconnect_sockets(close)

    async def all_rooms(self) -> set[str]:
        return await self._everybody.all_rooms()

    # Between servers.

    async def server_side_emit(self, name: str, *args: Any) -> None:
        """Call `@server_event(name)` on the other servers."""
        await self._everybody.server_side_emit(name, *args)

    async def server_side_emit_with_ack(
        self, name: str, *args: Any, timeout: float = DEFAULT_ACK_TIMEOUT
    ) -> list[Any]:
        """What `@server_event(name)` returned on each of the other servers."""
        return await self._everybody.server_side_emit_with_ack(name, *args, timeout=timeout)


def path_text(namespace: Namespace) -> str:
    """The path, or the text of its pattern: what the namespace is called in metrics and in the registry."""
    return namespace.path if isinstance(namespace.path, str) else namespace.path.pattern
