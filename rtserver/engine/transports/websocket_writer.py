"""Sending half of a WebSocket: direct writes to the socket where possible, through the asyncio transport otherwise.

The usual way to send is `transport.write`, which keeps a buffer, its high-water mark and a list of pending writes. In
a broadcast to thousands of clients most of the cost is the system call for each write, and the transport's bookkeeping
comes next. A frame that fits into the socket's own buffer needs no bookkeeping, so:

1. A frame is sent directly, by `send` of the transport's own socket, as long as the transport has nothing buffered.
2. What the socket does not accept, all or the rest of a frame, is given to the transport, which waits until the socket
   is writable. Errors too: the transport meets the same error, and reports the connection as lost.
3. Order: nothing is sent directly while frames are corked, or while the transport has bytes buffered. A session for
   which that may be the case has `sent_at == HELD`, so that one comparison decides for the common case.
4. Corked frames leave in one write: the answers to the frames of one read, and all frames of an event-loop iteration
   behind its first broadcast (see `rtserver.engine.session.cork`).
5. Backpressure: above the transport's high-water mark the session's `send` is None, and volatile messages are dropped.
   What is buffered is counted and bounded by `rtserver.engine.session.backpressure`.
6. Over TLS there is no direct write: only the transport can encrypt.

The socket object is a second one for the transport's file descriptor, since the transport hands out only a wrapper that
cannot send. It must never close the descriptor, and must forget it before the number can be reused.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial

from rtserver.engine.session.backpressure import OVERHEAD, UNCOUNTED
from rtserver.engine.session.in_transit import in_transit
from rtserver.engine.session.interfaces import EngineContext, MessageSink, Send
from rtserver.engine.session.outbox import HELD, sent
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.protocol.permessage_deflate import Deflate
from rtserver.timer_wheel import Timer

CORK_LIMIT = 65536
"""Bytes of corked frames that are sent without waiting for the end of the iteration."""


class BorrowedSocket(socket.SocketType):
    """The socket of a transport, which is closed by the transport alone: not by the garbage collector either."""

    __slots__ = ()

    def __del__(self) -> None:
        self.detach()


class WebSocketWriter(Timer):
    """`WebSocket` inherits it, as an object of its own would cost memory per connection."""

    __slots__ = (
        "_borrowed", "_closing", "_congested", "_corked", "_corked_size", "_engine", "_send", "_sink", "_transport",
    )  # fmt: skip

    _deflate: Deflate | None = None

    def __init__(self, engine: EngineContext) -> None:
        super().__init__()
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._sink: MessageSink | None = None
        self._borrowed: BorrowedSocket | None = None
        self._send: Send | None = None
        self._corked: list[bytes] | None = None
        self._corked_size = 0
        self._closing = False
        self._congested = False

    def _attach_transport(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        wrapper = transport.get_extra_info("socket")
        if wrapper is None or transport.get_extra_info("sslcontext") is not None:
            self._send = partial(_send_by_transport, transport)
        else:
            self._borrowed = BorrowedSocket(wrapper.family, wrapper.type, wrapper.proto, wrapper.fileno())
            self._send = self._borrowed.send

    def _detach_transport(self) -> None:
        self._transport = self._send = self._corked = None
        if self._borrowed is not None:
            self._borrowed.detach()

    def write(self, frames: bytes) -> None:
        """Send in order: behind what is corked or buffered, else directly."""
        if self._corked is not None:
            self._corked.append(frames)
            self._corked_size += len(frames)
            if self._corked_size > CORK_LIMIT:
                self.flush()
        elif self._transport is not None and self._transport.get_write_buffer_size():
            self.write_buffered(frames)
        else:
            self._write_direct(frames)

    def corked_write(self, frames: bytes) -> None:
        """Send at the end of this event-loop iteration, in which this client has had a frame already."""
        if self._corked is None:
            self.cork()
            self._engine.cork.uncork_at_end(self)
        self.write(frames)

    def write_buffered(self, data: bytes) -> None:
        """Append to what the transport has buffered."""
        transport, session = self._transport, self._sink
        if transport is None or self._closing:
            return
        if isinstance(session, Session):
            session.sent_at = HELD
            waiting = transport.get_write_buffer_size()
            if waiting + len(data) > UNCOUNTED and not self._engine.backpressure.add(session, waiting, len(data)):
                return
        transport.write(data)

    def write_control(self, data: bytes) -> None:
        """Send a control frame, or a frame of no session."""
        if self._transport is not None and not self._closing:
            self.flush()
            self.write_buffered(data)

    def _write_direct(self, data: bytes) -> None:
        if self._send is not None and not self._closing:
            if isinstance(self._sink, Session):
                self._sink.sent_at = 0
            count = sent(self._send, data)
            if count != len(data):
                self.write_buffered(data[count:])

    def cork(self) -> None:
        """Collect the session's frames until `flush`, if they may be sent directly at all."""
        if self._corked is None and isinstance(self._sink, Session) and self._sink.send is not None:
            self._corked = []
            self._sink.sent_at = HELD

    def flush(self) -> None:
        """Send the corked frames in one write."""
        frames, self._corked, self._corked_size = self._corked, None, 0
        if frames:
            self.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def push(self, message: PreparedMessage, volatile: bool) -> None:
        """Send where the session may not write directly: revision 3, compression, a congested socket."""
        transport, session = self._transport, self._sink
        if transport is None or self._closing or not isinstance(session, Session):
            return
        if self._congested and volatile:
            self._engine.volatile_dropped()
            return
        frames = message.frames_for(session.revision, session.base64, self._deflate)
        if self._congested:
            waiting = transport.get_write_buffer_size()
            if not self._engine.backpressure.admit(session, waiting, len(frames), OVERHEAD):
                return
        transport.write(frames)

    # Backpressure.

    @property
    def waiting(self) -> int:
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    @property
    def in_transit(self) -> int:
        return in_transit(self._transport)

    # Flow control of the transport.

    def pause_writing(self) -> None:
        self._congested = True
        if self._transport is not None and isinstance(self._sink, Session):
            # Not all that is written is counted as it is written: see `_send_by_transport`.
            self._engine.backpressure.count(self._sink, self._transport.get_write_buffer_size())
        if self._sink is not None:
            self._sink.set_direct_send(None)

    def resume_writing(self) -> None:
        self._congested = False
        self.enable_direct_writes()
        if isinstance(self._sink, Session):
            self._engine.backpressure.look_at(self._sink)

    def enable_direct_writes(self) -> None:
        """Let the sink send directly, unless the socket is congested or closing."""
        if self._sink is not None and not self._congested and not self._closing:
            self._sink.set_direct_send(self._send)


def _send_by_transport(transport: asyncio.Transport, data: bytes) -> int:
    transport.write(data)
    return len(data)
