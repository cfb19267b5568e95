"""What stands behind a namespace: a `Namespace` class, or handlers written for python-socketio."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.namespace.namespace import Namespace

AuthMode = Literal["required", "optional", "none"]


class _NoAck:
    """The type of `NO_ACK`."""


NO_ACK: Final = _NoAck()
"""Returned where no handler took the event: it is not acknowledged, as in Node."""

Answer = list[Any] | _NoAck

Step = Callable[[str, list[Any]], Awaitable[list[Any] | None] | list[Any] | None]
"""Middleware of an event: gets its name and arguments, and gives other arguments, or None; it may raise."""


def ack_values(result: Any) -> list[Any]:
    """What a handler returns as the values of the ack: a tuple = several, None = none."""
    if result is None:
        return []
    if type(result) is tuple:
        return list(result)
    return [result]


class Handler(Protocol):
    """`event` gives the values of the ack, or `NO_ACK`, or a coroutine of what the handler returns (or of `NO_ACK`);
    it may raise anything (see `dispatcher`). `filtered` gives a coroutine, with middleware between the rate
    limit and the handler.
    `has_connected` and `has_disconnecting` say whether `connected` and `disconnecting` do something.

    `room_presence`: who is in its rooms is kept for everybody to ask (see `rtserver.sio.broadcast.room_presence`).

    `label` names it in metrics: one of few, where a dynamic namespace has names of clients' choosing.
    """

    label: str
    auth: AuthMode
    roles: frozenset[str]
    has_connected: bool
    has_disconnecting: bool
    room_presence: bool

    @property
    def namespace(self) -> Namespace: ...

    async def connect(self, client: Client) -> None: ...

    async def connected(self, client: Client) -> None: ...

    def event(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Any]: ...

    def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Coroutine[Any, Any, Any]: ...

    async def disconnecting(self, client: Client, reason: str) -> None: ...

    async def disconnect(self, client: Client, reason: str) -> None: ...
