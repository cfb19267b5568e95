"""The sending half of a WebSocket: straight to the socket where that is possible, through the transport where not.

Most of the cost of a broadcast is the system's, for each write; the transport's is the next. So:

1. A frame goes to the socket at once. A broadcast that is not the first for a client in one turn of the event loop is
   kept until the turn ends, and leaves with what follows in one write; so do the answers to frames of one read.
2. Order: nothing goes straight while something is kept, or while the transport has something. What the socket does not
   take, the transport gets.
3. Above the transport's high-water mark nothing goes straight, and volatile messages drop. A client that has more than
   `outbox_limit` bytes waiting for a whole second, or four times that at once, is closed.
4. Over TLS everything is the transport's.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING

from rtserver.engine.session.outbox import HELD, OVERHEAD, Send, sent
from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.protocol.permessage_deflate import Deflate
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.engine.session.interfaces import MessageSink

SLOW_SECONDS = 1.0
SLOW_FACTOR = 4
KEPT_LIMIT = 65536


class Borrowed(socket.SocketType):
    """The socket of a transport, which closes it: this one must not, not even as garbage of a loop that has ended."""

    __slots__ = ()

    def __del__(self) -> None:
        self.detach()


class WebSocketWriter(Timer):
    __slots__ = (
        "_closing", "_congested", "_engine", "_kept", "_kept_size", "_overhead", "_owner", "_raw", "_send",
        "_transport",
    )  # fmt: skip

    _deflate: Deflate | None = None

    def __init__(self, engine: Engine) -> None:
        super().__init__()
        self._engine = engine
        self._transport: asyncio.Transport | None = None
        self._owner: MessageSink | None = None
        self._raw: Borrowed | None = None
        self._send: Send | None = None
        self._kept: list[bytes] | None = None
        self._kept_size = 0
        self._overhead = 0
        self._closing = False
        self._congested = False

    def _sends_by(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        given = transport.get_extra_info("socket")
        if given is None or transport.get_extra_info("sslcontext") is not None:
            self._send = partial(_through, transport)
        else:
            # The transport's own socket, by its number: `_let_go` must forget it before that number is another's.
            self._raw = Borrowed(given.family, given.type, given.proto, given.fileno())
            self._send = self._raw.send

    def _let_go(self) -> None:
        self._transport = self._send = self._kept = None
        if self._raw is not None:
            self._raw.detach()

    def write_control(self, data: bytes) -> None:
        """A control frame, or what goes to nobody's session."""
        if self._transport is not None and not self._closing:
            self.flush()
            self.write_buffered(data)

    def write_buffered(self, data: bytes) -> None:
        """Leave this to the transport, behind what it has."""
        if self._transport is not None and not self._closing:
            if isinstance(self._owner, Session):
                self._owner.sent_at = HELD
            self._transport.write(data)

    def write(self, frames: bytes) -> None:
        """Send behind what is held, if it still is."""
        if self._kept is not None:
            self._kept.append(frames)
            self._kept_size += len(frames)
            if self._kept_size > KEPT_LIMIT:
                self.flush()
        elif self._transport is not None and self._transport.get_write_buffer_size():
            self.write_buffered(frames)
        else:
            self._straight(frames)

    def corked_write(self, frames: bytes) -> None:
        """Send at the end of the turn: this client has had a frame in it."""
        if self._kept is None:
            self.hold()
            self._engine.turns.uncork_at_end(self)
        self.write(frames)

    def hold(self) -> None:
        """Keep frames of the session, if it has any that may go straight, until `flush`."""
        if self._kept is None and isinstance(self._owner, Session) and self._owner.send is not None:
            self._kept = []
            self._owner.sent_at = HELD

    def flush(self) -> None:
        """Send what was kept, as one."""
        kept, self._kept, self._kept_size = self._kept, None, 0
        if kept:
            self.write(kept[0] if len(kept) == 1 else b"".join(kept))

    def _straight(self, data: bytes) -> None:
        if self._send is not None and not self._closing:
            if isinstance(self._owner, Session):
                self._owner.sent_at = 0
            taken = sent(self._send, data)
            if taken != len(data):
                self.write_buffered(data[taken:])

    def push(self, message: PreparedMessage, volatile: bool) -> None:
        """For revision 3, compression and a congested socket; the session writes straight through otherwise."""
        transport, session = self._transport, self._owner
        if transport is None or self._closing or not isinstance(session, Session):
            return
        if self._congested:
            if volatile:
                self._engine.dropped_volatile()
                return
            self._overhead += OVERHEAD
            if not self._bear(session, transport.get_write_buffer_size() + self._overhead):
                return
        transport.write(message.frames_for(session.revision, session.base64, self._deflate))

    def _bear(self, session: Session, waiting: int) -> bool:
        """Whether the client may have even more waiting for it."""
        limit = self._engine.outbox_limit
        if waiting > SLOW_FACTOR * limit:
            self._engine.closed_slow(session)
            return False
        if waiting > limit and not self.is_set:
            self._engine.wheel.start(self, SLOW_SECONDS)
        return True

    def pause_writing(self) -> None:
        self._congested = True
        if self._owner is not None:
            self._owner.write_through(None)

    def resume_writing(self) -> None:
        self._congested = False
        self._overhead = 0
        self._let_through()

    def _let_through(self) -> None:
        if self._owner is not None and not self._congested and not self._closing:
            self._owner.write_through(self._send)


def _through(transport: asyncio.Transport, data: bytes) -> int:
    transport.write(data)
    return len(data)
