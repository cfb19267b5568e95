"""Interfaces of the engine: what its parts need of each other and of the layer above."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiohttp import web

    from rtserver.engine.session.backpressure import Backpressure
    from rtserver.engine.session.cork import Cork
    from rtserver.engine.session.fair_queue import FairQueue
    from rtserver.engine.session.prepared_message import PreparedMessage
    from rtserver.timer_wheel import Wheel

Send = Callable[[bytes], int]
"""Sends bytes without waiting, and returns how many the system accepted. Raises `OSError`."""


class Reason:
    """Why a session ended, in the words of Node's `disconnect` event."""

    TRANSPORT_CLOSE = "transport close"
    TRANSPORT_ERROR = "transport error"
    PING_TIMEOUT = "ping timeout"
    PARSE_ERROR = "parse error"
    FORCED_CLOSE = "forced close"


class MessageReceiver(Protocol):
    """The layer above, for one session. Implemented by `rtserver.sio` connections; called by `Session`."""

    def receive(self, message: str | bytes) -> None:
        """Receive one message of the client. It may close the session, or call `pause` of it."""

    def session_closed(self, reason: str) -> None:
        """Called exactly once, after the last message."""


class MessageSink(Protocol):
    """The receiving end of a WebSocket. Implemented by `Session`, and by `Upgrade` until the upgrade is complete."""

    paused: bool
    """While True, the socket delivers nothing."""

    def receive_text(self, text: str) -> None:
        """Raises `PayloadError`."""

    def receive_binary(self, data: bytes) -> None:
        """Raises `PayloadError`."""

    def set_direct_send(self, send: Send | None) -> None:
        """Frames may be sent by `send`, past the transport, until further notice; None: they may not."""

    def socket_lost(self, reason: str) -> None:
        """The socket is closed, and not by its sink."""


class SocketWriter(Protocol):
    """The WebSocket of a session. Implemented by `WebSocket`; called by `Outbox`, `Session` and the fan-out."""

    @property
    def waiting(self) -> int:
        """Bytes that the transport has buffered."""

    @property
    def in_transit(self) -> int:
        """Bytes that the system has accepted and the peer has not acknowledged."""

    def write(self, frames: bytes) -> None:
        """Send in order, directly where that is possible."""

    def corked_write(self, frames: bytes) -> None:
        """Send at the end of this event-loop iteration."""

    def write_buffered(self, data: bytes) -> None:
        """Append to what the transport has buffered."""

    def write_control(self, data: bytes) -> None:
        """Send a frame that is no message."""

    def push(self, message: PreparedMessage, volatile: bool) -> None:
        """Send a message where direct writes are not possible."""

    def set_sink(self, sink: MessageSink) -> None:
        """Deliver what arrives from now on to `sink`."""

    def enable_direct_writes(self) -> None:
        """Let the sink send directly, unless the socket is congested or closing."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def close(self) -> None:
        """Send what is buffered, then close."""

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""


class PendingPoll(Protocol):
    """A GET that hangs. Implemented by `Poll` and `FastPollingProtocol`; called by `Outbox` and `Session`."""

    def wake(self) -> None:
        """Something is queued, or the session ended: answer."""


class PendingPost(Protocol):
    """A POST in progress. Implemented by `Post` and `FastPollingProtocol`; called by `Session` at its end."""

    def abort(self) -> None: ...


class PendingUpgrade(Protocol):
    """An upgrade to WebSocket in progress. Implemented by `Upgrade`; called by `Session`."""

    def abort(self) -> None:
        """Close the WebSocket; the session stays on polling, or has ended."""


class IdleConnection(Protocol):
    """A connection outside aiohttp that belongs to no session.

    Implemented by `FastPollingProtocol` and `FastHandshakeProtocol`; closed by `Engine.shutdown`.
    """

    def close(self) -> None: ...


class PeerWorkers(Protocol):
    """The other processes that serve the same port. Implemented by `HandoffSender`; called by `Engine`."""

    def __call__(self, request: web.Request, sid: str | None) -> Awaitable[web.StreamResponse | None]:
        """Hand a request over to the process of this session; without a sid, to a process that opens sessions.

        The result is the response for aiohttp, or None if there is no such process.
        """


class EngineMetrics(Protocol):
    """Counters of the engine. Implemented by `rtserver.telemetry.metrics.Metrics`; called by `EngineState`."""

    slow_clients: int

    def rejected(self, code: str) -> None: ...

    def dropped(self, reason: str) -> None: ...


class SessionEntry(Protocol):
    """What the registry needs of a session. Implemented by `Session`."""

    id: str


class Registry(Protocol):
    """What sessions and sockets report to the session registry. Implemented by `SessionRegistry`."""

    def remove(self, sid: str) -> None:
        """The session has ended."""

    def add_lingering(self, session: SessionEntry) -> None:
        """The session has ended, and its last packets wait for one more poll."""

    def remove_lingering(self, sid: str) -> None:
        """That poll has arrived, or will not arrive."""

    def websocket_opened(self) -> None: ...

    def websocket_closed(self) -> None: ...


class EngineContext(Protocol):
    """What sessions and WebSockets need of the engine. Implemented by `EngineState`."""

    ping_interval: float
    ping_timeout: float
    heartbeat_timeout: float
    """Seconds without a ping after which a client of revision 3 is lost."""
    max_payload: int
    wheel: Wheel
    cork: Cork
    backpressure: Backpressure
    fair_queue: FairQueue

    @property
    def sessions(self) -> Registry: ...

    def slow_client(self, public_id: str) -> None:
        """Count and log a client that is closed as slow."""

    def volatile_dropped(self) -> None:
        """Count a volatile message that was dropped."""

    def payload_rejected(self, public_id: str, reason: str) -> None:
        """Count and log a payload or frame that broke the protocol."""
