"""Outbox: everything that is sent to one session, in order, whichever transport is in use.

1. With a WebSocket that is not congested, frames are written to it (see `transports.websocket_writer`). Without a
   WebSocket, packets are queued for the next poll.
2. What may wait is bounded, see `rtserver.engine.session.backpressure`. Each queued packet counts `OVERHEAD` bytes more
   than its size. A volatile message is dropped where it would have to wait: without a poll, or behind `VOLATILE_LIMIT`
   bytes for one.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable

from rtserver.engine.session.backpressure import OVERHEAD, UNCOUNTED
from rtserver.engine.session.interfaces import EngineContext, PendingPoll, Send, SocketWriter
from rtserver.engine.session.prepared_message import Part, PreparedMessage
from rtserver.protocol import engineio_packets
from rtserver.protocol.frames import TEXT, frame
from rtserver.timer_wheel import Timer

HELD = sys.maxsize
"""`sent_at` of a session whose frames are corked or buffered, or may be: nothing may be sent directly."""

VOLATILE_LIMIT = 65536
"""The high-water mark of a transport: a WebSocket drops volatile messages beyond as much."""


class Outbox(Timer):
    """The sending half of a session; `Session` inherits it, as an object of its own would cost memory per session."""

    __slots__ = ("_engine", "_queue", "_queued", "base64", "closed", "poll", "revision", "send", "sent_at", "socket")

    def __init__(self, engine: EngineContext, revision: int, base64: bool) -> None:
        super().__init__()
        self.revision = revision
        self.base64 = base64
        self.closed = False
        self.poll: PendingPoll | None = None
        self.socket: SocketWriter | None = None
        self.send: Send | None = None
        """Sends frames of revision 4; None while there is no WebSocket for them, or it is congested."""
        self.sent_at = HELD
        """The event-loop iteration in which a broadcast was last sent directly to the socket."""
        self._engine = engine
        self._queue: list[Part | PreparedMessage] | None = None
        self._queued = 0

    @property
    def plain(self) -> bool:
        """Whether the client accepts frames of revision 4, binary ones included, as most do."""
        return self.revision == 4 and not self.base64

    def write(self, frames: bytes) -> None:
        """Send frames of revision 4; only while `send` is set."""
        if self.sent_at == HELD:
            self.socket.write(frames)  # type: ignore[union-attr]  # set whenever `send` is
        elif (count := sent(self.send, frames)) != len(frames):  # type: ignore[arg-type]  # checked by the caller
            self.socket.write_buffered(frames[count:])  # type: ignore[union-attr]  # as above

    def send_answer(self, packet: bytes) -> None:
        """Send one text packet that answers a request."""
        if self.send is None:
            self.push_answer(PreparedMessage(packet))
            return
        self.write(frame(packet, TEXT))
        if self.send is None:  # it congested the WebSocket
            self._answered(len(packet))

    def push_answer(self, message: PreparedMessage) -> None:
        """Send, or queue, the answer to a request; see `answers_taken`."""
        self.push(message)
        if self.send is None:
            self._answered(message.size)

    def answers_taken(self) -> Awaitable[None] | None:
        """None, or what to await before the client's next request is handled. Only needed while `send` is None."""
        raise NotImplementedError

    def push(self, message: PreparedMessage, volatile: bool = False) -> None:
        """Send, or queue until it can be sent; a `volatile` message is dropped where it would have to wait."""
        if self.send is not None:
            self.write(message.frames)
        elif self.socket is not None:
            self.socket.push(message, volatile)
        elif not self.closed:
            self._enqueue(message, volatile)

    def push_control(self, packet: str) -> None:
        """Send a packet that is no message: it is never dropped or counted."""
        if self.socket is not None:
            self.socket.write_control(frame(packet.encode(), TEXT))
        elif not self.closed:
            self._append((packet,))

    def close_as_slow(self) -> None:
        """Close at once, and report the client as slow."""
        raise NotImplementedError

    def _enqueue(self, message: PreparedMessage, volatile: bool) -> None:
        if volatile and self.poll is None:
            self._engine.volatile_dropped()
            return
        # A large message waits as it is, shared with its other recipients: a string may take four times as much.
        parts = message.parts if message.size <= UNCOUNTED else (message,)
        size = message.size + OVERHEAD * message.count
        if self._queued + size > UNCOUNTED:
            if volatile and self._queued > VOLATILE_LIMIT:
                self._engine.volatile_dropped()
                return
            if not self._admit(size):
                return
        self._queued += size
        self._append(parts)

    def _admit(self, size: int) -> bool:
        """Count a message of `size` bytes behind the queue; False if the client has been closed instead."""
        raise NotImplementedError

    def _answered(self, size: int) -> None:
        """Note that what was counted last is an answer of `size` bytes."""
        raise NotImplementedError

    def _append(self, parts: tuple[Part | PreparedMessage, ...]) -> None:
        if self._queue is None:
            self._queue = []
        self._queue.extend(parts)
        if self.poll is not None:
            self.poll.wake()

    def take_queue(self) -> list[Part]:
        """Remove and return what is queued for the next poll."""
        if self._queued > UNCOUNTED:
            self._nothing_waits()
        queue, self._queue, self._queued = self._queue, None, 0
        if not queue:
            return []
        return [part for one in queue for part in (one.parts if isinstance(one, PreparedMessage) else (one,))]

    def _nothing_waits(self) -> None:
        """What was counted by `_admit` has been taken or dropped."""
        raise NotImplementedError

    def set_direct_send(self, send: Send | None) -> None:
        """Frames may be sent by `send`, past the transport, until further notice; None: they may not."""
        self.send = send if self.plain else None

    def release_poll(self) -> None:
        """Answer a poll that hangs, with nothing but a NOOP."""
        if self.poll is not None and not self._queue:
            self._append((engineio_packets.NOOP,))


def sent(send: Send, frames: bytes) -> int:
    """Send directly; returns how many bytes the system accepted. Errors are left to the transport to report."""
    try:
        return send(frames)
    except OSError:
        return 0
