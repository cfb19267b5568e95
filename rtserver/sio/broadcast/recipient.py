"""`Recipient`: a client as rooms and broadcasts see it. Types only."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rtserver.engine.session.outbox import Outbox
    from rtserver.identity import Identity

AckResult = list[Any] | None
"""The values of a client's ack; None when the client left without answering."""


class PublicHandshake(Protocol):
    """Handshake data of a client (`rtserver.sio.client.handshake.Handshake`)."""

    @property
    def address(self) -> str: ...

    def public(self) -> dict[str, Any]: ...


class Labelled(Protocol):
    """The handler of a client, as metrics see it."""

    @property
    def label(self) -> str: ...


class Recipient(Protocol):
    """A client that can be in rooms and receive broadcasts (`rtserver.sio.client.client.Client`)."""

    id: str
    namespace_name: str
    rooms: set[str]
    data: dict[str, Any]
    identity: Identity | None
    outbox: Outbox

    @property
    def user(self) -> str: ...

    @property
    def transport(self) -> str: ...

    @property
    def handshake(self) -> PublicHandshake: ...

    @property
    def handler(self) -> Labelled: ...

    def send_event(
        self, args: list[Any], id: int | None = None, volatile: bool = False, compress: bool = True
    ) -> None: ...

    def expect_ack(self) -> tuple[int, asyncio.Future[AckResult]]: ...

    def forget_ack(self, id: int) -> None: ...

    async def disconnect(self, close: bool = False) -> None: ...
