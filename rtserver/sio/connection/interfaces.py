"""Interfaces of this folder: the server and a connection as the parts of a connection see them. Types only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rtserver.sio.client.interfaces import ConnectionContext
from rtserver.sio.dispatch.interfaces import ServerContext

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.client.handshake import Handshake
    from rtserver.sio.dispatch.dispatcher import Authenticator
    from rtserver.sio.dispatch.interfaces import Handler
    from rtserver.sio.limits.connection_limits import ConnectionLimiter, ConnectionSlot


class ConnectionServer(ServerContext, Protocol):
    """The server as its connections see it."""

    @property
    def authenticator(self) -> Authenticator[Handshake] | None: ...

    @property
    def client_class(self) -> type[Client]: ...

    @property
    def concurrent_handlers(self) -> bool: ...

    @property
    def connection_limiter(self) -> ConnectionLimiter: ...

    @property
    def identity_leeway(self) -> float: ...

    @property
    def reason(self) -> Any:
        """python-socketio's reasons of a disconnect."""

    async def find_handler(self, name: str, auth: Mapping[str, Any] | None) -> Handler[Any]: ...

    def find(self, sid: str, namespace: str | None = None) -> Client | None: ...

    def register(self, client: Client) -> None: ...

    async def finish_disconnect(self, client: Client, reason: str) -> None: ...

    def forget(self, client: Client) -> None: ...

    def release_environ(self, connection: ConnectionContext) -> None: ...


class JoiningConnection(ConnectionContext, Protocol):
    """A connection as the modules see it that admit its clients and end it."""

    handshake: Handshake
    slot: ConnectionSlot

    @property
    def server(self) -> ConnectionServer: ...

    @property
    def clients(self) -> list[Client]: ...

    @property
    def ever_joined(self) -> bool: ...

    @property
    def connecting(self) -> bool: ...

    def new_id(self, nsp: str) -> str: ...


class RejectingConnection(Protocol):
    """A connection as its unfinished binary packet sees it."""

    @property
    def server(self) -> ServerContext: ...

    def reject(self, reason: str) -> None: ...
