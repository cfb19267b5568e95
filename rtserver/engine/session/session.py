"""Engine.IO session: receiving, heartbeat, flow control and end of one client connection, over either transport.

Rules:
1. What is sent, and how much may be queued, is in `rtserver.engine.session.outbox`.
2. Revision 4 is pinged by the server, revision 3 pings the server. A missing heartbeat ends the session either way.
3. A session ends once: `receiver.session_closed` is called exactly once, and nothing is received after it.
4. A polling session that is closed without a poll in progress lingers: the next poll within `LINGER_SECONDS` receives
   what is queued. If it is being upgraded, the upgrade goes on: a client between its probe and the upgrade polls no
   more, and what is queued follows it to the WebSocket, which is closed behind it.
5. One that ends by an error of the client does not linger: its next request is refused, as in Node.
6. A client gives up without a ping for `ping_interval` and `ping_timeout`. After a stall of this process, heartbeats
   are judged before input is read (`rtserver.timer_wheel`): one that is lost is not carried out for any more. A pong
   that is overdue may have arrived meanwhile, so input is read first where the client still waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from rtserver.engine.session.backpressure import UNCOUNTED
from rtserver.engine.session.interfaces import (
    EngineContext,
    MessageReceiver,
    PendingPost,
    PendingUpgrade,
    Reason,
    SocketWriter,
)
from rtserver.engine.session.outbox import HELD, Outbox
from rtserver.engine.session.prepared_message import Part, PreparedMessage, part_frame
from rtserver.ids import first_half, without_secret
from rtserver.protocol import engineio_packets
from rtserver.protocol.frames import TEXT, frame
from rtserver.timer_wheel import LATE

LINGER_SECONDS = 30.0
PING_FRAME = frame(engineio_packets.PING.encode(), TEXT)


class Session(Outbox):
    """As a timer, it is its own heartbeat. `base64`: the client cannot receive binary data. It implements `Waiter`."""

    uncounted = UNCOUNTED

    __slots__ = ("_awaits_pong", "id", "paused", "post", "receiver", "resumed", "upgrade")

    def __init__(self, engine: EngineContext, id: str, revision: int, base64: bool) -> None:
        super().__init__(engine, revision, base64)
        self.id = id
        self.paused = False
        self.receiver: MessageReceiver | None = None
        self.resumed: asyncio.Future[None] | None = None
        """Awaited by a POST while the session is paused."""
        self.post: PendingPost | None = None
        self.upgrade: PendingUpgrade | None = None
        self._awaits_pong = False

    @property
    def public_id(self) -> str:
        """The part of the id that may be logged and shown: the whole id gives access to the session."""
        return without_secret(self.id) if self.revision == 3 else first_half(self.id)

    @property
    def transport(self) -> str:
        """Either "polling" or "websocket"."""
        return "polling" if self.socket is None else "websocket"

    def start_heartbeat(self) -> None:
        """Called when the handshake has been answered."""
        engine = self._engine
        engine.wheel.start_before(self, engine.heartbeat_timeout if self.revision == 3 else engine.ping_interval)

    # Receiving.

    def receive_text(self, text: str) -> None:
        """One packet as text, from a frame; raises `PayloadError`."""
        receiver = self.receiver
        if text[:1] == "4" and receiver is not None:
            receiver.receive(text[1:])
        elif text[:1] != "4":
            self.receive_packet(*engineio_packets.decode_packet(text, self.revision))

    def receive_binary(self, data: bytes) -> None:
        """One binary frame; raises `PayloadError`."""
        if self.receiver is not None:
            self.receiver.receive(engineio_packets.decode_binary(data, self.revision))

    def receive_packet(self, kind: str, data: str | bytes) -> None:
        """One decoded packet, of a polling payload or another type than a message; raises `PayloadError`."""
        if self.receiver is None:
            if kind == engineio_packets.CLOSE:
                self._forget()
            return
        if kind == engineio_packets.MESSAGE:
            self.receiver.receive(data)
        else:
            self._receive_control(kind)

    def _receive_control(self, kind: str) -> None:
        if kind == engineio_packets.PONG and self.revision == 4:
            self._awaits_pong = False
            self._engine.wheel.start_before(self, self._engine.ping_interval)
        elif kind == engineio_packets.PING and self.revision == 3:
            self._engine.wheel.start_before(self, self._engine.heartbeat_timeout)
            # Sent like a message: what waits for a client that sends pings without reading is bounded.
            self.push(PreparedMessage(engineio_packets.PONG.encode()))
        elif kind in (engineio_packets.PING, engineio_packets.PONG):
            raise engineio_packets.PayloadError("heartbeat in the wrong direction")
        elif kind == engineio_packets.CLOSE:
            self._closed_by_client()

    def _closed_by_client(self) -> None:
        self.release_poll()
        if self.socket is not None:
            self.socket.close()
        self._abort_upgrade()
        self._end(Reason.TRANSPORT_CLOSE)

    def socket_lost(self, reason: str) -> None:
        """The WebSocket is closed: the session ends."""
        if not self.closed:
            self._end(reason)

    # Heartbeat.

    def fire(self) -> None:
        """Send a ping, or end the session: the pong is missing, or the time to linger is over."""
        behind = self._engine.wheel.behind
        if self.closed:
            self._forget()
        elif behind > LATE and self.revision == 4:
            self._judge_after_stall(behind)
        elif self._awaits_pong or self.revision == 3:
            self._heartbeat_missed()
        else:
            self._ping()

    def _ping(self) -> None:
        self._awaits_pong = True
        if self.send is not None:
            self.write(PING_FRAME)
        else:
            self.push_control(engineio_packets.PING)
        self._engine.wheel.start_before(self, self._engine.ping_timeout)

    def _judge_after_stall(self, behind: float) -> None:
        """Rule 6; `behind`: how many seconds ago this timer was due."""
        engine = self._engine
        if behind > (engine.ping_interval if self._awaits_pong else engine.ping_timeout):
            self._close_as_lost()
        elif self._awaits_pong:
            engine.wheel.start_before(self, LATE)
        else:
            self._ping()

    def _heartbeat_missed(self) -> None:
        probe = engineio_packets.PING if self.revision == 4 else engineio_packets.NOOP
        if self.paused and probe not in (self._queue or ()):
            # The heartbeat may have arrived: a paused session is not read. If the client has left, nothing read tells
            # so; but writing to its WebSocket fails then, and no poll takes the probe from the queue.
            self.push_control(probe)
            self._engine.wheel.start_before(self, self._engine.ping_timeout)
        elif self._engine.backpressure.makes_progress(self):
            # The ping waits behind what the client is still reading.
            self._engine.wheel.start_before(self, self._engine.ping_timeout)
        else:
            self._close_as_lost()

    def _close_as_lost(self) -> None:
        if self.socket is None and self.poll is None:
            # There is no poll that a close packet could answer.
            self.abort(Reason.PING_TIMEOUT)
        else:
            self.close(Reason.PING_TIMEOUT)

    # Flow control.

    def pause(self) -> None:
        """Deliver nothing until `resume`: the layer above has enough to do."""
        self.paused = True
        if self.socket is not None:
            self.socket.pause()

    def resume(self) -> None:
        """Deliver again."""
        self.paused = False
        if self.resumed is not None and not self.resumed.done():
            self.resumed.set_result(None)
        if self.socket is not None:
            self.socket.resume()

    # Transports.

    def complete_upgrade(self, socket: SocketWriter) -> None:
        """Move to the WebSocket, with what is queued; a poll that hangs is answered."""
        self.upgrade = None
        if self.closed:
            self._close_upgraded(socket)
            return
        self.attach_socket(socket)
        if self.poll is not None:
            self.poll.wake()

    def attach_socket(self, socket: SocketWriter) -> None:
        """Use this WebSocket from now on; what is queued is sent over it."""
        self.socket = socket
        queue = self.take_queue()
        socket.set_sink(self)
        for part in queue:
            socket.write_control(part_frame(part, self.revision, self.base64))
        self.sent_at = HELD
        socket.enable_direct_writes()

    def _close_upgraded(self, socket: SocketWriter) -> None:
        """The session ended during its upgrade: send what is queued, and close the WebSocket (rule 4)."""
        for part in super().take_queue():
            if part != engineio_packets.CLOSE:
                socket.write_control(part_frame(part, self.revision, self.base64))
        socket.close()
        self.stop_lingering()

    def take_queue(self) -> list[Part]:
        """Remove and return what is queued for the next poll; a close packet is returned alone, as in Node.

        Client libraries handle packets a moment later than the close, and lose those that stand before it.
        """
        parts = super().take_queue()
        if self.closed and len(parts) > 1 and parts[-1] == engineio_packets.CLOSE:
            self._queue = [parts.pop()]
            self._linger()
        elif self.closed and parts:
            self._abort_upgrade()
        return parts

    # Backpressure.

    @property
    def waiting(self) -> int:
        return self._queued if self.socket is None else self.socket.waiting

    @property
    def in_transit(self) -> int:
        return 0 if self.socket is None else self.socket.in_transit

    @property
    def can_take(self) -> bool:
        return self.socket is not None

    def _admit(self, size: int) -> bool:
        return self._engine.backpressure.admit(self, self._queued, size)

    def _nothing_waits(self) -> None:
        self._engine.backpressure.remove(self)

    def _answered(self, size: int) -> None:
        self._engine.backpressure.answered(self, size)

    def answers_taken(self) -> Awaitable[None] | None:
        """None, or what to await before the client's next request is handled. Only needed while `send` is None."""
        if self.closed or (self.socket is None and self._queued <= UNCOUNTED):
            return None
        return self._engine.backpressure.answers_taken(self)

    # The end.

    def close(self, reason: str) -> None:
        """Send what is queued, then close the transport; during an upgrade, the one that the client uses next."""
        if not self.closed:
            if self.socket is not None:
                self.socket.close()
                self._end(reason)
            else:
                polled = self.poll is not None
                self._append((engineio_packets.CLOSE,))
                self._end(reason)
                if not polled:
                    self._linger()

    def abort(self, reason: str) -> None:
        """Close at once; what is queued is lost."""
        if not self.closed:
            if self.socket is not None:
                self.socket.abort()
            super().take_queue()
            self._abort_upgrade()
            self._end(reason)
            if self.poll is not None:
                self.poll.wake()

    def fail(self, reason: str) -> None:
        """End by an error of the polling client: a poll that hangs is answered, a later one refused (rule 5)."""
        if self.poll is None:
            self.abort(reason)
        elif not self.closed:
            if not self._queue:
                self._append((engineio_packets.CLOSE,))
            self._abort_upgrade()
            self._end(reason)

    def close_as_slow(self) -> None:
        """Close at once, and report the client as slow."""
        self._engine.slow_client(self.public_id)
        if self.closed:
            self._forget()
        else:
            self.abort(Reason.TRANSPORT_ERROR)

    def stop_lingering(self) -> None:
        """The last poll of an ended session has arrived, or will not arrive."""
        self._engine.sessions.remove_lingering(self.id)
        self._engine.wheel.stop(self)

    def _forget(self) -> None:
        """Nobody will take what an ended session has queued."""
        super().take_queue()
        self.stop_lingering()
        self._abort_upgrade()

    def _abort_upgrade(self) -> None:
        if self.upgrade is not None:
            self.upgrade.abort()

    def _linger(self) -> None:
        self._engine.sessions.add_lingering(self)
        self._engine.wheel.start(self, LINGER_SECONDS)

    def _end(self, reason: str) -> None:
        self.closed = True
        self.send = None
        if self.socket is not None:
            self._nothing_waits()
        else:
            self._engine.backpressure.end(self)
        self._engine.wheel.stop(self)
        receiver, self.receiver = self.receiver, None
        self.resume()
        if self.post is not None:
            self.post.abort()
        self._engine.sessions.remove(self.id)
        if receiver is not None:
            receiver.session_closed(reason)
