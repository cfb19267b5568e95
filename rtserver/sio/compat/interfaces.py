"""Interfaces of this folder: the server as the API of python-socketio sees it. Types only.

python-socketio is untyped, so what comes from it is `Any`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from rtserver.sio.dispatch.interfaces import ServerContext

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.client.interfaces import ConnectionContext
    from rtserver.sio.dispatch.interfaces import AuthMode


class ApiContext(ServerContext, Protocol):
    """The server as the methods of `socketio.AsyncServer` see it."""

    @property
    def connections(self) -> Mapping[str, ConnectionContext]: ...

    async def emit(self, event: str, data: Any = None, **kwargs: Any) -> None: ...

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None: ...

    async def enter_room(self, sid: str, room: Any, namespace: str | None = None) -> None: ...

    async def leave_room(self, sid: str, room: Any, namespace: str | None = None) -> None: ...

    async def close_room(self, room: Any, namespace: str | None = None) -> None: ...

    def find(self, sid: str, namespace: str | None = None) -> Client | None: ...


class CompatServer(ApiContext, Protocol):
    """The server as handlers written for python-socketio see it: `socketio.AsyncServer` has the untyped parts."""

    handlers: Any
    namespace_handlers: Any
    namespaces: Any
    environ: dict[str, Any]
    logger: Any
    logs_calls: bool

    @property
    def compat_auth(self) -> AuthMode: ...

    def _get_event_handler(self, event: str, namespace: str, args: tuple[Any, ...]) -> Any: ...

    def _get_namespace_handler(self, namespace: str, args: tuple[Any, ...]) -> Any: ...
