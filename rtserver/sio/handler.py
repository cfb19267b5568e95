"""What stands behind a namespace: a `Namespace` class, or handlers written for python-socketio."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from rtserver.sio.client import Client
    from rtserver.sio.namespace import Namespace

AuthMode = Literal["required", "optional", "none"]


class _NoAck:
    """The type of `NO_ACK`."""


NO_ACK: Final = _NoAck()
"""Returned where no handler took the event: it is not acknowledged, as in Node."""

Answer = list[Any] | _NoAck


class Handler(Protocol):
    """`event` gives the values of the ack, or `NO_ACK`, or what to await for them; it may raise anything (see
    `rtserver.sio.dispatch`). `has_connected` says whether `connected` does something.

    `label` names it in metrics: one of few, where a dynamic namespace has names of clients' choosing.
    """

    label: str
    auth: AuthMode
    roles: frozenset[str]
    has_connected: bool

    @property
    def namespace(self) -> Namespace: ...

    async def connect(self, client: Client) -> None: ...

    async def connected(self, client: Client) -> None: ...

    def event(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Answer]: ...

    async def disconnect(self, client: Client, reason: str) -> None: ...
