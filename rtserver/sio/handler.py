"""What stands behind a namespace: a `Namespace` class, or handlers written for python-socketio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

if TYPE_CHECKING:
    from rtserver.sio.client import Client
    from rtserver.sio.namespace import Namespace

AuthMode = Literal["required", "optional", "none"]


class _NoAck:
    """The type of `NO_ACK`."""


NO_ACK: Final = _NoAck()
"""Returned where no handler took the event: it is not acknowledged, as in Node."""


class Handler(Protocol):
    """`event` gives the values of the ack, or `NO_ACK`; it may raise anything (see `rtserver.sio.dispatch`).

    `label` names it in metrics: one of few, where a dynamic namespace has names of clients' choosing.
    """

    label: str
    auth: AuthMode
    roles: frozenset[str]

    @property
    def namespace(self) -> Namespace: ...

    async def connect(self, client: Client) -> None: ...

    async def connected(self, client: Client) -> None: ...

    async def event(self, client: Client, args: list[Any]) -> list[Any] | _NoAck: ...

    async def disconnect(self, client: Client, reason: str) -> None: ...
