"""WebSocket transport: an asyncio protocol that takes over the connection after its opening handshake.

1. Frames are parsed and delivered in `data_received`: there is no task, future or timer per connection or message.
2. Fairness: one call delivers at most `MAX_MESSAGES` messages or `MAX_BYTES` bytes. The rest stays unparsed, with
   reading paused, until the other connections had their share of the event loop. A large message waits for its turn
   among those of all connections (`FairQueue`) before it is inflated or decoded, and so does what follows `MAX_BYTES`.
3. While the sink is paused, nothing is delivered; what has been read stays unparsed.
4. How frames are sent, and how much may be buffered, is in `rtserver.engine.transports.websocket_writer`.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterator
from itertools import chain
from typing import cast

from aiohttp._websocket.helpers import websocket_mask

from rtserver.engine.session.backpressure import UNCOUNTED
from rtserver.engine.session.fair_queue import MAX_BYTES, MAX_MESSAGES
from rtserver.engine.session.interfaces import EngineContext, MessageSink, Reason
from rtserver.engine.session.session import Session
from rtserver.engine.transports.websocket_writer import WebSocketWriter
from rtserver.protocol import frames
from rtserver.protocol.engineio_packets import PayloadError

LINGER_SECONDS = 1.0
STALL_SECONDS = 5.0
CLOSE_SECONDS = 30.0
"""What a closing connection may take in all, as in Node; it is aborted before if nothing leaves for `STALL_SECONDS`."""


class _Ending:
    """How the end of a connection goes on. `left`: bytes that the client has not received."""

    __slots__ = ("left", "overdue", "stalled")

    def __init__(self) -> None:
        now = time.monotonic()
        self.left: float = math.inf
        self.overdue = now + CLOSE_SECONDS
        self.stalled = now + STALL_SECONDS

    def goes_on(self, left: int) -> bool:
        """Whether the client may have more time; `left` bytes of now."""
        now = time.monotonic()
        received, self.left = left < self.left, left
        if received:
            self.stalled = now + STALL_SECONDS
        return received if left == 0 else now < min(self.overdue, self.stalled)


class WebSocket(WebSocketWriter, asyncio.Protocol):
    """As a timer, it waits for the answer to a close frame. While it closes, it implements `Waiter`."""

    can_take = True
    uncounted = UNCOUNTED

    __slots__ = ("_continue_due", "_ending", "_reader", "_unparsed")

    def __init__(self, engine: EngineContext) -> None:
        super().__init__(engine)
        self._reader = frames.FrameReader(engine.max_payload, websocket_mask)
        self._unparsed: Iterator[frames.Message] | None = None
        """The messages in bytes that have been read; parsed as they are delivered."""
        self._continue_due = False
        self._ending: _Ending | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach_transport(cast("asyncio.Transport", transport))
        self._engine.sessions.websocket_opened()

    def set_sink(self, sink: MessageSink) -> None:
        """Deliver what arrives from now on to `sink`."""
        self._sink = sink

    # Receiving.

    def data_received(self, data: bytes) -> None:
        sink = self._sink
        if sink is None:
            return
        must_wait = sink.paused or self._unparsed is not None
        if not must_wait:
            try:
                text = self._reader.short_text(data)
                if text is not None:
                    sink.receive_text(text)
                    return
            except PayloadError:
                self._reject_packet()
                return
            except frames.FrameError as error:
                self.fail(error.code)
                return
        messages = self._reader.feed(data)
        # Nothing of it is parsed before what was read earlier has been delivered.
        self._unparsed = messages if self._unparsed is None else chain(self._unparsed, messages)
        if must_wait:
            self.pause()
        else:
            self._deliver_unparsed(len(data))

    def _deliver_unparsed(self, just_read: int = 0) -> None:
        """Deliver as much as one iteration may and the sink accepts; `just_read`: bytes of the latest read."""
        messages, self._unparsed = self._unparsed, None
        if messages is None:
            return
        complete = self._deliver(messages)
        if self._sink is not None:
            if not complete:
                self._unparsed = messages
            if not complete or just_read >= MAX_BYTES:
                self._continue_later()

    def _deliver(self, messages: Iterator[frames.Message]) -> bool:
        """Deliver up to the limits of one iteration; returns False if messages may be left.

        If the read has more than one message, the answers to them are corked and leave in one write. Limits and cork
        are local variables, not objects: this loop is the hot path of receiving.
        """
        sink = self._sink
        corked = False
        count = size = 0
        try:
            for opcode, payload in messages:
                if sink is None:
                    return False
                if not count and self._reader.more:
                    corked = True
                    self.cork()
                if opcode == frames.TEXT:
                    sink.receive_text(payload)  # type: ignore[arg-type]  # the payload of TEXT is a str
                elif opcode == frames.BINARY:
                    sink.receive_binary(payload)  # type: ignore[arg-type]  # and that of BINARY is bytes
                elif opcode == frames.LARGE:
                    self._await_turn()
                    return False
                else:
                    self._receive_control(opcode, cast("bytes", payload))
                count += 1
                size += len(payload)
                # The message may have closed the socket, paused the sink, or completed an upgrade, which changes it.
                sink = self._sink
                if count >= MAX_MESSAGES or size >= MAX_BYTES or sink is None or sink.paused:
                    if size >= MAX_BYTES and sink is not None:
                        self._await_turn()
                    return False
        except PayloadError:
            self._reject_packet()
        except frames.FrameError as error:
            self.fail(error.code)
        finally:
            if corked:
                self.flush()
        return True

    def _continue_later(self) -> None:
        """Let other connections run first: libuv reads one connection up to 32 times in a row."""
        self.pause()
        if not self._continue_due:
            self._continue_due = True
            asyncio.get_running_loop().call_soon(self._continue)

    def _await_turn(self) -> None:
        """Let what follows wait for its turn: a large message, or more than one iteration delivers."""
        if not self._continue_due:
            self._continue_due = True
            self._engine.fair_queue.put(self._continue)

    def _continue(self) -> None:
        self._continue_due = False
        self._resume_receiving()

    def _resume_receiving(self) -> None:
        sink = self._sink
        if self._transport is None or self._closing or sink is None or sink.paused:
            return
        if self._unparsed is None:
            self._transport.resume_reading()
        else:
            self._deliver_unparsed()
            if self._unparsed is None and not self._continue_due:
                self._resume_receiving()

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            # A client that sends pings without reading gets no answers once the socket is congested.
            if not self._congested:
                self.write(frames.frame(payload, frames.PONG))
        elif opcode == frames.CLOSE:
            self.write_control(frames.frame(payload[:2], frames.CLOSE))
            self._lose_sink(Reason.TRANSPORT_CLOSE)
            self._close_transport(peer_closed=True)

    # Protocol errors of the client.

    def fail(self, code: int) -> None:
        """The client broke the WebSocket protocol: send a close frame with this code, and close."""
        self._report(f"frame refused with {code}")
        self._lose_sink(Reason.TRANSPORT_ERROR)
        self.write_control(frames.close_frame(code))
        self._close_transport()

    def _reject_packet(self) -> None:
        """The message is no Engine.IO packet."""
        self._report("no packet")
        self._lose_sink(Reason.PARSE_ERROR)
        self.close()

    def _report(self, reason: str) -> None:
        if isinstance(self._sink, Session):
            self._engine.payload_rejected(self._sink.public_id, reason)

    def _lose_sink(self, reason: str) -> None:
        sink, self._sink = self._sink, None
        self._unparsed = None
        if sink is not None:
            sink.socket_lost(reason)

    # Flow control of the session.

    def pause(self) -> None:
        """Read nothing until `resume`."""
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        """Deliver and read again."""
        if not self._continue_due:
            self._resume_receiving()

    # The end.

    def fire(self) -> None:
        """Abort a connection that is closing for too long."""
        ending = self._ending
        if ending is not None and ending.goes_on(self.waiting + self.in_transit):
            self._engine.wheel.start(self, LINGER_SECONDS)
        elif self._transport is not None:
            self._transport.abort()

    @property
    def closed(self) -> bool:
        return self._transport is None

    def close_as_slow(self) -> None:
        """What waits for a client that has left is dropped; its session has ended already."""
        self._engine.backpressure.remove(self)
        if self._transport is not None:
            self._transport.abort()

    def close(self, code: int = frames.NORMAL) -> None:
        """Send what is buffered and a close frame.

        The client has `CLOSE_SECONDS` to receive it, as long as it does, and `LINGER_SECONDS` to answer.
        """
        self._sink = None
        if self._transport is not None and not self._closing:
            self.write_control(frames.close_frame(code))
            self._close_transport()

    def _close_transport(self, peer_closed: bool = False) -> None:
        """Send what is buffered, then close.

        If a socket is closed while the peer still sends, the system resets the connection, and the peer loses what it
        has not read yet. So only the sending half is closed at first, and what still arrives is read and discarded.
        """
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = True
        self._ending = _Ending()
        self._engine.wheel.start(self, LINGER_SECONDS)
        if (waiting := self.waiting) > UNCOUNTED:
            self._engine.backpressure.count(self, waiting)
        if peer_closed or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:
            # The peer has reset the connection; `connection_lost` follows.
            transport.abort()
        else:
            transport.resume_reading()

    def abort(self) -> None:
        """Close at once; what is buffered is lost."""
        self._sink = None
        if self._transport is not None:
            self._closing = True
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._detach_transport()
        self._engine.sessions.websocket_closed()
        self._engine.wheel.stop(self)
        self._engine.backpressure.remove(self)
        self._lose_sink(Reason.TRANSPORT_CLOSE if exc is None else Reason.TRANSPORT_ERROR)
