"""What the parts of the engine ask of each other, of the layer above and of whoever counts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from multidict import MultiMapping

if TYPE_CHECKING:
    from aiohttp import web

    from rtserver.engine.session.session import Session


class Reason:
    """Why a session ended, in the words of Node's `disconnect` event."""

    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    FORCED_CLOSE = "forced close"


class MessageReceiver(Protocol):
    """The layer above."""

    def receive(self, message: str | bytes) -> None:
        """One message of the client. It may close the session, or ask it to `pause`."""

    def session_closed(self, reason: str) -> None: ...


class HandshakeRequest(Protocol):
    """What is read of the request that opens a session; aiohttp's is one."""

    @property
    def method(self) -> str: ...

    @property
    def headers(self) -> MultiMapping[str]: ...

    @property
    def query(self) -> Mapping[str, str]: ...

    @property
    def path_qs(self) -> str: ...

    @property
    def host(self) -> str: ...

    @property
    def scheme(self) -> str: ...

    @property
    def secure(self) -> bool: ...

    @property
    def remote(self) -> str | None: ...


class PeerWorkers(Protocol):
    """The other processes that serve the same port."""

    def __call__(self, request: web.Request, sid: str | None) -> Awaitable[web.StreamResponse | None]:
        """Hand a request over to the process that has this session; without one, to a process that opens sessions.

        None where there is no such process.
        """


class IdleConnection(Protocol):
    """A connection that has no session of its own."""

    def close(self) -> None: ...


class PendingPoll(Protocol):
    """A poll that hangs."""

    def wake(self) -> None: ...


class PendingPost(Protocol):
    """A POST under way."""

    def abort(self) -> None: ...


class MessageSink(Protocol):
    """Who gets the messages of a socket: a session, or the probe that comes before."""

    def text(self, text: str) -> None:
        """Raises `PayloadError`."""

    def binary(self, data: bytes) -> None:
        """Raises `PayloadError`."""

    paused: bool

    def write_through(self, send: Callable[[bytes], int] | None) -> None: ...

    def socket_lost(self, reason: str) -> None: ...


class SessionListener(Protocol):
    """The layer above."""

    needs_request: bool
    """Whether it needs aiohttp's request of a session."""

    def session_opened(self, session: Session, request: HandshakeRequest) -> MessageReceiver: ...


class EngineMetrics(Protocol):
    """What is counted here."""

    slow_clients: int

    def rejected(self, code: str) -> None: ...

    def dropped(self, reason: str) -> None: ...
