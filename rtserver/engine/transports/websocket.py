"""The WebSocket transport: a connection taken over from aiohttp after its handshake, as a protocol of our own.

Frames are parsed and handed on where the bytes arrive: no task, future or timer per connection or message. What one
read brings beyond `MANY` messages or `MUCH` bytes waits as it came, with reading paused, until the others had their
turn; so does what comes while the owner is paused. How frames leave, and what may wait for the client, is
`rtserver.engine.transports.websocket_writer`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, cast

from aiohttp._websocket.helpers import websocket_mask

from rtserver.engine.session.interfaces import MessageSink, Reason
from rtserver.engine.session.outbox import HELD
from rtserver.engine.session.prepared_message import Part, part_frame
from rtserver.engine.session.session import Session
from rtserver.engine.transports.websocket_writer import WebSocketWriter
from rtserver.protocol import frames
from rtserver.protocol.engineio_packets import PayloadError

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

LINGER_SECONDS = 1.0
CLOSE_SECONDS = 5.0
MANY = 128
MUCH = 65536
"""Messages, and bytes, after which the others come first. A compressed message counts as it is inflated."""


class WebSocket(WebSocketWriter, asyncio.Protocol):
    """As a timer, it waits for a slow client to catch up, or for the peer's answer to a close."""

    __slots__ = ("_coming", "_due", "_late", "_reader")

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._reader = frames.FrameReader(engine.max_payload, websocket_mask)
        self._coming: Iterator[frames.Message] | None = None
        self._due = False
        self._late = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._sends_by(cast("asyncio.Transport", transport))
        self._engine.socket_opened()

    def own(self, owner: MessageSink) -> None:
        self._owner = owner

    def take_over(self, session: Session, waiting: list[Part]) -> None:
        """From now on this socket is the session's."""
        self._owner = session
        for part in waiting:
            self.write_control(part_frame(part, session.revision, session.base64))
        session.sent_at = HELD
        self._let_through()

    # In.

    def data_received(self, data: bytes) -> None:
        owner = self._owner
        if owner is None:
            return
        waits = owner.paused or self._coming is not None
        if not waits:
            try:
                text = self._reader.short_text(data)
                if text is not None:
                    owner.text(text)
                    return
            except PayloadError:
                self._refuse()
                return
            except frames.FrameError as error:
                self.fail(error.code)
                return
        coming = self._reader.feed(data)
        # Behind what waits already: nothing of it is looked at before that is through.
        self._coming = coming if self._coming is None else chain(self._coming, coming)
        if waits:
            self.pause()
        else:
            self._take_in(len(data))

    def _take_in(self, read: int = 0) -> None:
        """Hand on what came: all of it, or as much as one turn may bring and the owner takes."""
        coming, self._coming = self._coming, None
        if coming is None:
            return
        whole = self._deliver(coming)
        if self._owner is not None:
            if not whole:
                self._coming = coming
            if not whole or read >= MUCH:
                self._let_others()

    def _deliver(self, coming: Iterator[frames.Message]) -> bool:
        """Whether that was all."""
        owner = self._owner
        count = size = 0
        several = False
        try:
            for opcode, payload in coming:
                if owner is None:
                    return False
                if not count and self._reader.more:
                    several = True
                    self.hold()
                if opcode == frames.TEXT:
                    owner.text(payload)  # type: ignore[arg-type]  # text comes as str
                elif opcode == frames.BINARY:
                    owner.binary(payload)  # type: ignore[arg-type]
                else:
                    self._control(opcode, cast("bytes", payload))
                count += 1
                size += len(payload)
                owner = self._owner
                if count >= MANY or size >= MUCH or owner is None or owner.paused:
                    return False
        except PayloadError:
            self._refuse()
        except frames.FrameError as error:
            self.fail(error.code)
        finally:
            if several:
                self.flush()
        return True

    def _let_others(self) -> None:
        """A client that sends without end gets its share of each turn: libuv would go on for up to 32 reads."""
        self.pause()
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._due = False
        self._read_on()

    def _read_on(self) -> None:
        owner = self._owner
        if self._transport is None or self._closing or owner is None or owner.paused:
            return
        if self._coming is None:
            self._transport.resume_reading()
        else:
            self._take_in()
            if self._coming is None and not self._due:
                self._read_on()

    def _refuse(self) -> None:
        """What came is no Engine.IO packet."""
        self._count("no packet")
        self._lose(Reason.PARSE_ERROR)
        self.close()

    def _control(self, opcode: int, payload: bytes) -> None:
        if opcode == frames.PING:
            # A client that asks and does not read is not answered for ever.
            if not self._congested:
                self.write(frames.frame(payload, frames.PONG))
        elif opcode == frames.CLOSE:
            self.write_control(frames.frame(payload[:2], frames.CLOSE))
            self._lose(Reason.TRANSPORT_CLOSE)
            self._shut(heard_all=True)

    def fail(self, code: int) -> None:
        """The peer broke the protocol: say so, and close."""
        self._count(f"frame refused with {code}")
        self._lose(Reason.TRANSPORT_ERROR)
        self.write_control(frames.close_frame(code))
        self._shut()

    def _count(self, reason: str) -> None:
        if isinstance(self._owner, Session):
            self._engine.rejected(self._owner, reason)

    def _lose(self, reason: str) -> None:
        owner, self._owner = self._owner, None
        self._coming = None
        if owner is not None:
            owner.socket_lost(reason)

    def pause(self) -> None:
        if self._transport is not None and not self._closing:
            self._transport.pause_reading()

    def resume(self) -> None:
        if not self._due:
            self._read_on()

    def fire(self) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._closing and not self._late and transport.get_write_buffer_size():
            self._late = True
            self._engine.wheel.start(self, CLOSE_SECONDS - LINGER_SECONDS)
        elif self._closing:
            transport.abort()
        elif self._owner is not None and transport.get_write_buffer_size() > self._engine.outbox_limit:
            self._engine.closed_slow(cast("Session", self._owner))

    # The end.

    def close(self, code: int = frames.NORMAL) -> None:
        """Send what waits and a close frame; the peer has `CLOSE_SECONDS` to take it, `LINGER_SECONDS` to answer."""
        self._owner = None
        if self._transport is not None and not self._closing:
            self.write_control(frames.close_frame(code))
            self._shut()

    def _shut(self, heard_all: bool = False) -> None:
        """Send what waits, then close.

        To close while the peer still sends would make the system reset the connection, and the peer lose what it has
        not read yet: so only our half is closed at first, and what still comes is read and thrown away.
        """
        transport = self._transport
        if transport is None or self._closing:
            return
        self._closing = True
        self._engine.wheel.start(self, LINGER_SECONDS)
        if heard_all or not transport.can_write_eof():
            transport.close()
            return
        try:
            transport.write_eof()
        except OSError:
            # The peer has reset the connection, and we are about to hear of it.
            transport.abort()
        else:
            transport.resume_reading()

    def abort(self) -> None:
        self._owner = None
        if self._transport is not None:
            self._closing = True
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._let_go()
        self._engine.socket_closed()
        self._engine.wheel.stop(self)
        self._lose(Reason.TRANSPORT_CLOSE if exc is None else Reason.TRANSPORT_ERROR)
