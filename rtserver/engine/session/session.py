"""One Engine.IO session: what it receives, what leaves for it, its heartbeat and its end, over either transport.

Rules:
1. What leaves, and how much may wait, is `rtserver.engine.session.outbox`'s.
2. Revision 4 is pinged by the server, revision 3 pings the server; silence ends the session either way.
3. A session ends once: `receiver.session_closed` is called exactly once, and nothing is received after it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rtserver.engine.session.interfaces import MessageReceiver, PendingPost, Reason
from rtserver.engine.session.outbox import Outbox
from rtserver.engine.session.prepared_message import Part, PreparedMessage
from rtserver.protocol import engineio_packets
from rtserver.protocol.frames import TEXT, frame

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.engine.transports.upgrade import Upgrade
    from rtserver.engine.transports.websocket import WebSocket

LINGER_SECONDS = 30.0
PING_FRAME = frame(engineio_packets.PING.encode(), TEXT)


class Session(Outbox):
    """As a timer, it is its own heartbeat. `base64`: the client cannot take binary data."""

    __slots__ = ("_awaits_pong", "id", "paused", "post", "receiver", "resumed", "upgrading")

    def __init__(self, engine: Engine, id: str, revision: int, base64: bool) -> None:
        super().__init__(engine, revision, base64)
        self.id = id
        self.paused = False
        self.receiver: MessageReceiver | None = None
        self.resumed: asyncio.Future[None] | None = None
        self.post: PendingPost | None = None
        self.upgrading: Upgrade | None = None
        self._awaits_pong = False

    @property
    def transport(self) -> str:
        return "polling" if self.socket is None else "websocket"

    def opened(self) -> None:
        """The handshake went out: the heartbeat begins."""
        self._engine.wheel.start(self, self._engine.patience if self.revision == 3 else self._engine.ping_interval)

    # In.

    def text(self, text: str) -> None:
        """One packet as text, from a frame or a payload; raises `PayloadError`."""
        receiver = self.receiver
        if text[:1] == "4" and receiver is not None:
            receiver.receive(text[1:])
        elif text[:1] != "4":
            self.packet(*engineio_packets.decode_packet(text, self.revision))

    def binary(self, data: bytes) -> None:
        """The same for a binary frame."""
        if self.receiver is not None:
            self.receiver.receive(engineio_packets.decode_binary(data, self.revision))

    def packet(self, kind: str, data: str | bytes) -> None:
        """One decoded packet, of a polling payload or out of the ordinary; raises `PayloadError`."""
        if self.receiver is None:
            if kind == engineio_packets.CLOSE:
                self._engine.bury(self)
            return
        if kind == engineio_packets.MESSAGE:
            self.receiver.receive(data)
        else:
            self._control(kind)

    def _control(self, kind: str) -> None:
        if kind == engineio_packets.PONG and self.revision == 4:
            self._awaits_pong = False
            self._engine.wheel.start(self, self._engine.ping_interval)
        elif kind == engineio_packets.PING and self.revision == 3:
            self._engine.wheel.start(self, self._engine.patience)
            # Like a message, so that one who only asks, and does not read, is closed as slow.
            self.push(PreparedMessage(engineio_packets.PONG.encode()))
        elif kind in (engineio_packets.PING, engineio_packets.PONG):
            raise engineio_packets.PayloadError("heartbeat in the wrong direction")
        elif kind == engineio_packets.CLOSE:
            self._client_closed()

    def _client_closed(self) -> None:
        self.release()
        if self.socket is not None:
            self.socket.close()
        self._end(Reason.TRANSPORT_CLOSE)

    def socket_lost(self, reason: str) -> None:
        if not self.closed:
            self._end(reason)

    def fire(self) -> None:
        """The heartbeat: time for a ping, or the end of patience."""
        if self.closed:
            self._engine.bury(self)
        elif self._awaits_pong or self.revision == 3:
            self._unheard()
        else:
            self._awaits_pong = True
            if self.send is not None:
                self.put(PING_FRAME)
            else:
                self.control(engineio_packets.PING)
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

    def take(self) -> list[Part]:
        """What waits for the next poll; a close goes alone, as from Node.

        Stock clients hand packets on a moment later than they close, and lose those that stand before a close.
        """
        parts = super().take()
        if self.closed and len(parts) > 1 and parts[-1] == engineio_packets.CLOSE:
            self._queue = [parts.pop()]
            self._await_poll()
        return parts

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
                self._queue_parts((engineio_packets.CLOSE,))
                self._end(reason)
                if not polled:
                    self._await_poll()

    def abort(self, reason: str) -> None:
        """Close at once; what waits is lost."""
        if not self.closed:
            if self.socket is not None:
                self.socket.abort()
            self._queue = None
            self._end(reason)
            if self.poll is not None:
                self.poll.wake()

    def _await_poll(self) -> None:
        self._engine.linger(self)
        self._engine.wheel.start(self, LINGER_SECONDS)

    def _end(self, reason: str) -> None:
        self.closed = True
        self.send = None
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
