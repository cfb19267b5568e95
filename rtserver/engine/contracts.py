"""What the parts of the engine ask of each other, of the layer above and of whoever counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from rtserver.engine.session import Session


class Reason:
    """Why a session ended, in the words of Node's `disconnect` event."""

    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    FORCED_CLOSE = "forced close"


class Receiver(Protocol):
    """The layer above."""

    def receive(self, message: str | bytes) -> None:
        """One message of the client. It may close the session, or ask it to `pause`."""

    def session_closed(self, reason: str) -> None: ...


class Waiting(Protocol):
    """A poll that hangs."""

    def wake(self) -> None: ...


class Feeding(Protocol):
    """A POST under way."""

    def abort(self) -> None: ...


class Owner(Protocol):
    """Who gets the messages of a socket: a session, or the probe that comes before."""

    def text(self, text: str) -> None:
        """Raises `PayloadError`."""

    def binary(self, data: bytes) -> None:
        """Raises `PayloadError`."""

    paused: bool

    def write_through(self, send: Callable[[bytes], int] | None) -> None: ...

    def socket_lost(self, reason: str) -> None: ...


class Upper(Protocol):
    """The layer above."""

    def session_opened(self, session: Session, request: web.Request) -> Receiver: ...


class Counting(Protocol):
    """What is counted here."""

    slow_clients: int

    def rejected(self, code: str) -> None: ...

    def dropped(self, reason: str) -> None: ...
