"""Interfaces of dispatch: the handler of a namespace, its result, and clients and the server as dispatch sees them.

A handler is a `Namespace` class (`rtserver.sio.namespace.handler`) or functions written for python-socketio
(`rtserver.sio.compat.handlers`). The protocols are types only and cost nothing at run time.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeVar

from rtserver.sio.broadcast.interfaces import AdapterContext
from rtserver.sio.broadcast.recipient import PublicHandshake, Recipient

if TYPE_CHECKING:
    from rtserver.rate_limit import Buckets
    from rtserver.sio.broadcast.adapter import Adapter
    from rtserver.sio.broadcast.operator import Operator
    from rtserver.sio.broadcast.room_presence import RoomPresence
    from rtserver.sio.broadcast.rooms import Rooms
    from rtserver.sio.dispatch.rate_limits import EventLimiter
    from rtserver.sio.limits.limits import Limits

AuthMode = Literal["required", "optional", "none"]


class _NoAck:
    """The type of `NO_ACK`."""


NO_ACK: Final = _NoAck()
"""The result of an event that no handler took: it is not acknowledged, as in Node."""

FinishedResult = list[Any] | _NoAck
"""The result of a handler that has finished: the values of the ack, or `NO_ACK`."""

HandlerResult = FinishedResult | Coroutine[Any, Any, Any]
"""What `Handler.event` returns, distinguished by its type, so that a handler that never waits needs no task:

1. A list: the handler has finished, and these are the values of the ack.
2. `NO_ACK`: no handler took the event, or it must not be acknowledged.
3. A coroutine: the handler has to wait. Its result is what the handler returns (see `ack_values`), or `NO_ACK`.
"""

Step = Callable[[str, list[Any]], Awaitable[list[Any] | None] | list[Any] | None]
"""Event middleware: gets an event's name and arguments; returns other arguments, or None to keep them; may raise."""


def ack_values(result: Any) -> list[Any]:
    """The values of the ack for a handler's return value: a tuple is several values, None is none."""
    if result is None:
        return []
    if type(result) is tuple:
        return list(result)
    return [result]


ClientT = TypeVar("ClientT", contravariant=True)


class Handler(Protocol[ClientT]):
    """The handler of one namespace.

    `label` names it in metrics. A dynamic namespace has one label for all its names, which clients choose.
    `has_connected` and `has_disconnecting`: whether `connected` and `disconnecting` do anything.
    `room_presence`: whether the users in its rooms are tracked (see `rtserver.sio.broadcast.room_presence`).
    """

    label: str
    auth: AuthMode
    roles: frozenset[str]
    has_connected: bool
    has_disconnecting: bool
    room_presence: bool

    @property
    def namespace(self) -> Any:
        """The `Namespace` object; raises `LookupError` where there is none."""

    async def connect(self, client: ClientT) -> None:
        """Accept the client, or raise `Refused`."""

    async def connected(self, client: ClientT) -> None: ...

    def event(self, client: ClientT, args: list[Any]) -> HandlerResult:
        """Handle `[name, *args]`. May raise anything; `dispatcher` turns it into an error ack."""

    def filtered(self, client: ClientT, args: list[Any], steps: Sequence[Step]) -> Coroutine[Any, Any, Any]:
        """The same as a coroutine, with event middleware between the rate limit and the handler."""

    async def disconnecting(self, client: ClientT, reason: str) -> None: ...

    async def disconnect(self, client: ClientT, reason: str) -> None: ...


class ServerContext(AdapterContext, Protocol):
    """The server as dispatch, clients and namespaces see it (`rtserver.sio.server.Server`)."""

    @property
    def limits(self) -> Limits: ...

    @property
    def adapter(self) -> Adapter: ...

    @property
    def room_presence(self) -> RoomPresence: ...

    @property
    def event_limiter(self) -> EventLimiter: ...

    @property
    def middleware(self) -> tuple[Callable[[Any], Any], ...]: ...

    def of(self, namespace: str) -> Operator: ...

    def has_namespace(self, name: str) -> bool: ...

    def open_namespaces(self) -> list[str]: ...

    def room_table(self, name: str, room_presence: bool = False) -> Rooms[Any]: ...

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None: ...

    async def expel(self, user: str, patience: float) -> bool: ...


class ClientConnection(Protocol):
    """The connection of a client, as the handlers of its events see it."""

    closed: bool

    @property
    def server(self) -> ServerContext: ...


class ClientContext(Recipient, Protocol):
    """A client as dispatch sees it (`rtserver.sio.client.client.Client`)."""

    handler: Handler[Any]
    buckets: Buckets | None

    @property
    def connection(self) -> ClientConnection: ...

    @property
    def connected(self) -> bool: ...

    @property
    def handshake(self) -> PublicHandshake: ...

    def send_ack(self, id: int, values: list[Any]) -> None: ...

    async def request_ack(self, args: list[Any], timeout: float, compress: bool = True) -> list[Any]: ...
