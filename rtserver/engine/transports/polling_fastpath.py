"""Long polling without a web framework in between: a connection over which a client polls, kept after its first poll.

The first requests of a connection go through aiohttp; once one of them was a poll or a POST of an open session, the
connection is taken over (as a WebSocket's is, `rtserver.engine.http.takeover`), and the polls that follow on it are
answered where their bytes arrive. Rules:

1. Only the plain case is handled here: GET or POST of HTTP/1.1 for an open session of revision 4, with an ordinary
   query and headers, and a body of known, small length. For everything else the connection is handed back to aiohttp,
   with every byte that belongs to the request: whatever is doubtful is judged there.
2. One request at a time; what comes meanwhile waits unread. So do the requests of a client that does not read.
3. What is idle, or does not finish its request, is closed after `IDLE_SECONDS`, and cut off if it does not read then.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from aiohttp.helpers import rfc822_formatted_time

from rtserver.engine.http.fastpath_parser import HEAD_END, MAX_BODY, MAX_HEAD, read
from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.prepared_message import Part
from rtserver.engine.session.session import Session
from rtserver.protocol import engineio_packets
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

IDLE_SECONDS = 75.0
GZIP_LEVEL = 6

OK_TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nCache-Control: no-store\r\n"
OK_GZIP = OK_TEXT + b"Content-Encoding: gzip\r\n"
OK_POSTED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
BAD = b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
BAD_BODY = b'{"code":3,"message":"Bad request"}'


class FastPollingProtocol(asyncio.Protocol, Timer):
    """While a poll waits, it is the session's `poll`."""

    __slots__ = (
        "_answering", "_buffer", "_busy", "_congested", "_engine", "_extra", "_gzip", "_held_up", "_needed",
        "_new_handler", "_origin", "_transport",
    )  # fmt: skip

    def __init__(
        self, engine: Engine, new_handler: Callable[[], asyncio.Protocol], origin: str | None, extra: bytes
    ) -> None:
        """`extra`: headers of every answer, for pages of `origin`."""
        Timer.__init__(self)
        self._engine = engine
        self._new_handler = new_handler
        self._origin = origin
        self._extra = extra
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._needed = 0
        self._busy: Session | None = None
        self._answering = False
        self._congested = False
        self._held_up = False
        self._gzip = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._engine.kept.add(self)
        self._engine.idle_wheel.start(self, IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._leave()
        session, self._busy = self._busy, None
        if session is not None and session.poll is self:
            session.poll = None
            session.abort(Reason.TRANSPORT_ERROR)

    def _leave(self) -> None:
        self._engine.kept.discard(self)
        self._engine.idle_wheel.stop(self)

    def fire(self) -> None:
        self._engine.idle_wheel.start(self, IDLE_SECONDS)
        if self._transport is not None and self._transport.is_closing():
            self._transport.abort()
        elif self._busy is None:
            self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    abort = close
    """As a session's POST under way: what comes of it is not wanted any more."""

    # Requests.

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._busy is not None or self._congested:
            # A client that does not wait for its answers; the bound is what the socket's own buffer holds.
            if len(self._buffer) > MAX_BODY:
                self._hold_up()
        elif len(self._buffer) >= self._needed:
            self._next()
            if len(data) >= MAX_BODY:
                # Others come first: libuv would go on reading for up to 32 times.
                self._hold_up()
                asyncio.get_running_loop().call_soon(self._read_on)

    def _hold_up(self) -> None:
        if self._transport is not None and not self._held_up:
            self._held_up = True
            self._transport.pause_reading()

    def _next(self) -> None:
        while self._buffer and self._busy is None and self._transport is not None and not self._congested:
            data = bytes(self._buffer)
            end = data.find(HEAD_END, 0, MAX_HEAD)
            if end < 0:
                if len(data) >= MAX_HEAD:
                    self._hand_back()
                return
            request = read(self._engine, self._origin, data[:end], end + len(HEAD_END))
            if request is None:
                self._hand_back()
            elif request.end > len(data):
                self._needed = request.end
                return
            else:
                self._needed = 0
                del self._buffer[: request.end]
                self._engine.idle_wheel.start(self, IDLE_SECONDS)
                if request.post:
                    self._post(request.session, data[request.begin : request.end])
                else:
                    self._gzip = request.gzip
                    self._poll(request.session)

    def _hand_back(self) -> None:
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        self._leave()
        handler = self._new_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(bytes(self._buffer))

    # Answers.

    def _respond(self, head: bytes, body: bytes) -> None:
        self._busy = None
        if self._transport is not None:
            date = rfc822_formatted_time().encode()
            self._transport.write(
                b"%bDate: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (head, date, self._extra, len(body), body)
            )
            self._read_on()

    def _read_on(self) -> None:
        if self._held_up and not self._congested and self._transport is not None:
            self._held_up = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        if self._busy is None:
            self._read_on()
            self._next()

    def _respond_parts(self, parts: list[Part]) -> None:
        body = engineio_packets.encode(parts).encode()
        engine = self._engine
        if self._gzip and engine.http_compression and len(body) >= engine.compression_threshold:
            self._respond(OK_GZIP, gzip.compress(body, GZIP_LEVEL))
        else:
            self._respond(OK_TEXT, body)

    def _poll(self, session: Session) -> None:
        if session.poll is not None:
            session.close(Reason.TRANSPORT_ERROR)
            self._respond(BAD, BAD_BODY)
            return
        parts = session.take()
        if parts:
            self._respond_parts(parts)
        else:
            self._busy, session.poll = session, self

    def wake(self) -> None:
        """Something waits for the poll: answer at the end of this turn, with all that comes until then."""
        if not self._answering:
            self._answering = True
            asyncio.get_running_loop().call_soon(self._answer)

    def _answer(self) -> None:
        self._answering = False
        session = self._busy
        if session is not None and session.poll is self:
            session.poll = None
            self._respond_parts(session.take() or [engineio_packets.NOOP])
            self._next()

    def _post(self, session: Session, body: bytes) -> None:
        if session.post is not None:
            session.close(Reason.TRANSPORT_ERROR)
            self._respond(BAD, BAD_BODY)
            return
        try:
            packets = iter(engineio_packets.decode(body.decode(), self._engine.max_packets))
            if self._feed(session, packets):
                self._respond(OK_POSTED, b"ok")
        except (engineio_packets.PayloadError, UnicodeDecodeError) as error:
            self._refuse(session, error)

    def _feed(self, session: Session, packets: Iterator[engineio_packets.Packet]) -> bool:
        """Hand the packets on; False when the layer above asked for a pause, and the rest follows after it."""
        for kind, data in packets:
            session.packet(kind, data)
            if session.paused:
                self._busy, session.post = session, self
                session.resumed = asyncio.get_running_loop().create_future()
                session.resumed.add_done_callback(lambda _: self._go_on(session, packets))
                return False
        return True

    def _go_on(self, session: Session, packets: Iterator[engineio_packets.Packet]) -> None:
        session.post = None
        try:
            if self._feed(session, packets):
                self._respond(OK_POSTED, b"ok")
                self._next()
        except engineio_packets.PayloadError as error:
            self._refuse(session, error)

    def _refuse(self, session: Session, error: ValueError) -> None:
        self._engine.rejected(session, str(error))
        session.close(Reason.PARSE_ERROR)
        self._respond(BAD, BAD_BODY)
