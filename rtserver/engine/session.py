"""One Engine.IO session: what it receives, what leaves for it, its heartbeat and its end, over either transport.

Rules:
1. Everything that leaves goes through `push`, in order: straight to the socket once the WebSocket is up, else into the
   queue that the next poll takes along.
2. What waits for a client is bounded, see `rtserver.engine.backlog`.
3. Revision 4 is pinged by the server, revision 3 pings the server; silence ends the session either way.
4. A session ends once: `receiver.session_closed` is called exactly once, and nothing is received after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from rtserver.engine.outgoing import Outgoing, Part
from rtserver.engine.wheel import Timer
from rtserver.protocol import payloads
from rtserver.protocol.frames import TEXT, frame

if TYPE_CHECKING:
    from rtserver.engine.probe import Probe
    from rtserver.engine.server import Engine
    from rtserver.engine.websocket import WebSocket

LINGER_SECONDS = 30.0
PING_FRAME = frame(payloads.PING.encode(), TEXT)


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


class Session(Timer):
    """As a timer, it is its own heartbeat. `base64`: the client cannot take binary data."""

    __slots__ = (
        "_awaits_pong", "_engine", "_queue", "_queued", "base64", "closed", "id", "paused", "poll", "post", "receiver",
        "resumed", "revision", "socket", "upgrading", "write",
    )  # fmt: skip

    def __init__(self, engine: Engine, id: str, revision: int, base64: bool) -> None:
        super().__init__()
        self.id = id
        self.revision = revision
        self.base64 = base64
        self.closed = False
        self.paused = False
        self.receiver: Receiver | None = None
        self.resumed: asyncio.Future[None] | None = None
        self.poll: Waiting | None = None
        self.post: Feeding | None = None
        self.socket: WebSocket | None = None
        self.upgrading: Probe | None = None
        self._engine = engine
        self.write: Callable[[bytes], None] | None = None
        """Writes frames of revision 4 straight to the socket; None while that is not possible."""
        self._queue: list[Part] | None = None
        self._queued = 0
        self._awaits_pong = False

    @property
    def plain(self) -> bool:
        """Whether it takes frames of revision 4, binary ones too, which most sessions do."""
        return self.revision == 4 and not self.base64

    @property
    def transport(self) -> str:
        return "polling" if self.socket is None else "websocket"

    def opened(self) -> None:
        """The handshake went out: the heartbeat begins."""
        self._engine.wheel.start(self, self._engine.patience if self.revision == 3 else self._engine.ping_interval)

    # Out.

    def send_text(self, packet: bytes) -> None:
        """Send one packet of text that goes to nobody else."""
        write = self.write
        if write is not None:
            write(frame(packet, TEXT))
        else:
            self.push(Outgoing(packet))

    def push(self, message: Outgoing, volatile: bool = False) -> None:
        """Send, or keep until it can be sent; `volatile` lets it be dropped where it would have to wait."""
        write = self.write
        if write is not None:
            write(message.frames)
        elif self.socket is not None:
            self.socket.push(message, volatile)
        elif not self.closed:
            self._enqueue(message, volatile)

    def _enqueue(self, message: Outgoing, volatile: bool) -> None:
        if volatile and self.poll is None:
            self._engine.dropped_volatile()
            return
        if self._queued > self._engine.outbox_limit:
            self._engine.closed_slow(self)
            return
        self._queued += message.size
        self._queue_parts(message.parts)

    def _queue_parts(self, parts: tuple[Part, ...]) -> None:
        if self._queue is None:
            self._queue = []
        self._queue.extend(parts)
        if self.poll is not None:
            self.poll.wake()

    def take(self) -> list[Part]:
        """What waits for the next poll."""
        queue, self._queue, self._queued = self._queue, None, 0
        return queue or []

    def write_through(self, write: Callable[[bytes], None] | None) -> None:
        """`push` may write to the socket by this until further notice; None: it may not."""
        self.write = write if self.plain else None

    # In.

    def text(self, text: str) -> None:
        """One packet as text, from a frame or a payload; raises `PayloadError`."""
        receiver = self.receiver
        if text[:1] == "4" and receiver is not None:
            receiver.receive(text[1:])
        elif text[:1] != "4":
            self.packet(*payloads.decode_packet(text, self.revision))

    def binary(self, data: bytes) -> None:
        """The same for a binary frame."""
        if self.receiver is not None:
            self.receiver.receive(payloads.decode_binary(data, self.revision))

    def packet(self, kind: str, data: str | bytes) -> None:
        """One decoded packet, of a polling payload or out of the ordinary; raises `PayloadError`."""
        if self.receiver is None:
            return
        if kind == payloads.MESSAGE:
            self.receiver.receive(data)
        else:
            self._control(kind)

    def _control(self, kind: str) -> None:
        if kind == payloads.PONG and self.revision == 4:
            self._awaits_pong = False
            self._engine.wheel.start(self, self._engine.ping_interval)
        elif kind == payloads.PING and self.revision == 3:
            self._engine.wheel.start(self, self._engine.patience)
            self.control(payloads.PONG)
        elif kind in (payloads.PING, payloads.PONG):
            raise payloads.PayloadError("heartbeat in the wrong direction")
        elif kind == payloads.CLOSE:
            self._client_closed()

    def _client_closed(self) -> None:
        self.release()
        if self.socket is not None:
            self.socket.close()
        self._end(Reason.TRANSPORT_CLOSE)

    def socket_lost(self, reason: str) -> None:
        if not self.closed:
            self._end(reason)

    def release(self) -> None:
        """Let a poll that hangs go, with nothing."""
        if self.poll is not None and not self._queue:
            self._queue_parts((payloads.NOOP,))

    def control(self, packet: str) -> None:
        """Send a packet that is no message: it is never dropped or counted."""
        if self.socket is not None:
            self.socket.write(frame(packet.encode(), TEXT))
        elif not self.closed:
            self._queue_parts((packet,))

    def ring(self) -> None:
        """The heartbeat: time for a ping, or the end of patience."""
        if self.closed:
            self._engine.bury(self)
        elif self._awaits_pong or self.revision == 3:
            self._unheard()
        else:
            self._awaits_pong = True
            if self.write is not None:
                self.write(PING_FRAME)
            else:
                self.control(payloads.PING)
            self._engine.wheel.start(self, self._engine.ping_timeout)

    def _unheard(self) -> None:
        if self.paused:
            # It may have spoken: we do not listen.
            self._engine.wheel.start(self, self._engine.ping_timeout)
        elif self.socket is None and self.poll is None:
            # Nobody is there to be told.
            self.abort(Reason.PING_TIMEOUT)
        else:
            self.close(Reason.PING_TIMEOUT)

    # Flow control.

    def pause(self) -> None:
        """Take nothing in until `resume`: the layer above has enough to do."""
        self.paused = True
        if self.socket is not None:
            self.socket.pause()

    def resume(self) -> None:
        self.paused = False
        if self.resumed is not None and not self.resumed.done():
            self.resumed.set_result(None)
        if self.socket is not None:
            self.socket.resume()

    # The end.

    def upgraded(self, socket: WebSocket) -> None:
        """The WebSocket takes over, with what waited for a poll."""
        self.upgrading = None
        self.attach(socket)
        if self.poll is not None:
            self.poll.wake()

    def attach(self, socket: WebSocket) -> None:
        self.socket = socket
        socket.take_over(self, self.take())

    def close(self, reason: str) -> None:
        """Send what waits, then close the transport."""
        if not self.closed:
            if self.socket is not None:
                self.socket.close()
                self._end(reason)
            else:
                polled = self.poll is not None
                self._queue_parts((payloads.CLOSE,))
                self._end(reason)
                if not polled:
                    self._engine.linger(self)
                    self._engine.wheel.start(self, LINGER_SECONDS)

    def abort(self, reason: str) -> None:
        """Close at once; what waits is lost."""
        if not self.closed:
            if self.socket is not None:
                self.socket.abort()
            self._queue = None
            self._end(reason)
            if self.poll is not None:
                self.poll.wake()

    def _end(self, reason: str) -> None:
        self.closed = True
        self.write = None
        self._engine.wheel.stop(self)
        if self.upgrading is not None:
            self.upgrading.give_up()
        receiver, self.receiver = self.receiver, None
        self.resume()
        if self.post is not None:
            self.post.abort()
        self._engine.forget(self)
        if receiver is not None:
            receiver.session_closed(reason)
