"""Interfaces of this folder: the connection as its clients see it. Types only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtserver.engine.session.session import Session
    from rtserver.sio.dispatch.interfaces import ClientContext, ServerContext


class ConnectionContext(Protocol):
    """One connection with its clients (`rtserver.sio.connection.connection.Connection`)."""

    id: str
    closed: bool
    registered_clients: int
    engine_session: Session

    @property
    def server(self) -> ServerContext: ...

    @property
    def clients(self) -> Sequence[ClientContext]: ...

    @property
    def transport(self) -> str: ...

    def runs_connect_handler(self, nsp: str) -> bool: ...

    def disconnect(self, client: Any) -> None: ...

    def disconnect_all(self) -> None: ...

    def close(self, reason: str) -> None: ...
