"""What leaves for one session, in order: everything goes through here, whichever transport is up.

1. While the WebSocket is up, and not congested, frames are written to it (see `transports.websocket_writer`);
   while there is none, they wait for the next poll.
2. What waits is bounded by the engine's `outbox_limit`: a client beyond it is closed as slow. A volatile message is
   dropped where it would have to wait. Each message counts with `OVERHEAD` bytes more than it has.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from rtserver.engine.session.interfaces import PendingPoll
from rtserver.engine.session.prepared_message import Part, PreparedMessage
from rtserver.protocol import engineio_packets
from rtserver.protocol.frames import TEXT, frame
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.engine.session.session import Session
    from rtserver.engine.transports.websocket import WebSocket

Send = Callable[[bytes], int]
"""Sends bytes, and tells how many the system took."""

HELD = sys.maxsize
"""`sent_at` of a session for which something is kept, or may be: nothing goes straight to the socket."""

OVERHEAD = 64
"""What Python takes for a message that waits, beside its bytes."""


class Outbox(Timer):
    """The sending half of a session."""

    __slots__ = ("_engine", "_queue", "_queued", "base64", "closed", "poll", "revision", "send", "sent_at", "socket")

    def __init__(self, engine: Engine, revision: int, base64: bool) -> None:
        super().__init__()
        self.revision = revision
        self.base64 = base64
        self.closed = False
        self.poll: PendingPoll | None = None
        self.socket: WebSocket | None = None
        self.send: Send | None = None
        """Takes frames of revision 4; None while there is no WebSocket for them, or it is congested."""
        self.sent_at = HELD
        """The turn of the event loop in which a broadcast went straight to the socket."""
        self._engine = engine
        self._queue: list[Part] | None = None
        self._queued = 0

    @property
    def plain(self) -> bool:
        """Whether it takes frames of revision 4, binary ones too, which most sessions do."""
        return self.revision == 4 and not self.base64

    def put(self, frames: bytes) -> None:
        """Write frames of revision 4; only while there is a `send`."""
        if self.sent_at == HELD:
            self.socket.write(frames)  # type: ignore[union-attr]  # it is there while there is a `send`
        elif (taken := sent(self.send, frames)) != len(frames):  # type: ignore[arg-type]  # as the caller has seen
            self.socket.write_buffered(frames[taken:])  # type: ignore[union-attr]  # as above

    def send_text(self, packet: bytes) -> None:
        """Send one packet of text that goes to nobody else."""
        if self.send is not None:
            self.put(frame(packet, TEXT))
        else:
            self.push(PreparedMessage(packet))

    def push(self, message: PreparedMessage, volatile: bool = False) -> None:
        """Send, or keep until it can be sent; `volatile` lets it be dropped where it would have to wait."""
        if self.send is not None:
            self.put(message.frames)
        elif self.socket is not None:
            self.socket.push(message, volatile)
        elif not self.closed:
            self._enqueue(message, volatile)

    def _enqueue(self, message: PreparedMessage, volatile: bool) -> None:
        if volatile and self.poll is None:
            self._engine.dropped_volatile()
            return
        if self._queued > self._engine.outbox_limit:
            self._engine.closed_slow(cast("Session", self))
            return
        parts = message.parts
        self._queued += message.size + OVERHEAD * len(parts)
        self._queue_parts(parts)

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

    def write_through(self, send: Send | None) -> None:
        """`push` may write to the socket by this until further notice; None: it may not."""
        self.send = send if self.plain else None

    def release(self) -> None:
        """Let a poll that hangs go, with nothing."""
        if self.poll is not None and not self._queue:
            self._queue_parts((engineio_packets.NOOP,))

    def control(self, packet: str) -> None:
        """Send a packet that is no message: it is never dropped or counted."""
        if self.socket is not None:
            self.socket.write_control(frame(packet.encode(), TEXT))
        elif not self.closed:
            self._queue_parts((packet,))


def sent(send: Send, frames: bytes) -> int:
    """How many bytes went straight to the socket. What is wrong with it, its transport will find out."""
    try:
        return send(frames)
    except OSError:
        return 0
