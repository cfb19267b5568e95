"""Fast path for long polling: later polls on a keep-alive connection are answered without aiohttp.

A client polls over a few connections, with hundreds of requests on each. Of an aiohttp request most of the time goes
into what a poll does not need: a task, a request object, routing, middlewares, a response object. So the first request
of a connection goes through aiohttp; once it was a plain GET or POST of an open session, `keep_connection` takes the
connection over (see `rtserver.engine.http.takeover`), and `FastPollingProtocol` answers later requests in
`data_received`. What they lead to is decided by `polling_rules`, as for aiohttp's requests. Rules:

1. Only the plain case is handled: GET or POST of HTTP/1.1 for an open session of revision 4, with an ordinary query,
   ordinary headers, and a small body of known length. In every other case the connection is handed back to aiohttp,
   with all bytes of the request: doubtful requests are judged there.
2. One request at a time. What arrives meanwhile is buffered, up to `MAX_BODY`; then reading is paused. The same holds
   for a client that does not read its answers; they are counted with what waits for all clients.
3. A connection that is idle, or does not complete its request, is closed after `IDLE_SECONDS`; if the client does not
   read then, it is aborted after as much time again.

States, and what leads from one to the next:

    IDLE       no request in progress         GET, nothing queued → HANGING; POST that pauses the session → PAUSED
    HANGING    a GET waits for packets        the session wakes it → WOKEN
    WOKEN      packets are there              end of the event-loop iteration: answered → IDLE
    PAUSED     a POST waits, partly delivered session resumed, or next iteration: rest delivered, answered → IDLE

WOKEN exists so that one answer carries all packets of an iteration. In HANGING and WOKEN the connection is the
session's `poll`, in PAUSED its `post`. A lost connection ends the session in HANGING and WOKEN.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Iterator
from typing import Any, cast

from aiohttp import web
from aiohttp.helpers import rfc822_formatted_time

from rtserver.engine.http.fastpath_parser import HEAD_END, MAX_BODY, MAX_HEAD, read
from rtserver.engine.http.takeover import TakenOver, detach, parser_is_between_requests
from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.prepared_message import Part
from rtserver.engine.session.session import Session
from rtserver.engine.session.state import EngineState
from rtserver.engine.session.unread_answers import UnreadAnswers
from rtserver.engine.transports.polling_rules import (
    OverlappingRequest,
    begin_poll,
    begin_post,
    decode,
    deliver,
    end_poll,
)
from rtserver.protocol import engineio_packets
from rtserver.timer_wheel import Timer

IDLE_SECONDS = 75.0
GZIP_LEVEL = 6

OK_TEXT = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=UTF-8\r\nCache-Control: no-store\r\n"
OK_GZIP = OK_TEXT + b"Content-Encoding: gzip\r\n"
OK_POSTED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nCache-Control: no-store\r\n"
OVERLAPPING = b"HTTP/1.1 400 Bad Request\r\n"
BAD = OVERLAPPING + b"Content-Type: application/json\r\n"
BAD_BODY = b'{"code":3,"message":"Bad request"}'

IDLE, HANGING, WOKEN, PAUSED = range(4)


def keep_connection(request: web.Request, answer: web.Response, engine: EngineState) -> web.StreamResponse:
    """Send `answer`, the first of a connection for which `can_take_over` is true, and take the connection over."""
    handler: Any = request.protocol
    if not parser_is_between_requests(handler):
        answer.force_close()
        return answer
    transport, manager = handler.transport, handler._manager
    # Later requests with the same `Origin` and `Host` get the same headers; others go to aiohttp, which checks them.
    cors = "".join(
        f"{name}: {value}\r\n" for name, value in answer.headers.items() if name.startswith("Access-") or name == "Vary"
    )
    origin = request.headers.get("Origin")
    page = None if origin is None else (origin, request.headers.get("Host", ""))
    protocol = FastPollingProtocol(engine, manager, page, cors.encode())
    body = answer.body if isinstance(answer.body, bytes) else b""
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items() if name != "Content-Length")
    detach(handler, transport, protocol)
    transport.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body))
    return TakenOver()


class FastPollingProtocol(asyncio.Protocol, Timer):
    """A keep-alive connection of a polling client. It implements `PendingPoll`, `PendingPost` and `IdleConnection`."""

    __slots__ = (
        "_buffer", "_congested", "_cors_headers", "_engine", "_gzip", "_needed", "_new_handler", "_page",
        "_reading_paused", "_session", "_state", "_transport",
    )  # fmt: skip

    def __init__(
        self,
        engine: EngineState,
        new_handler: Callable[[], asyncio.Protocol],
        page: tuple[str, str] | None,
        cors_headers: bytes,
    ) -> None:
        """`new_handler` makes aiohttp's protocol. `cors_headers`: of each answer, for this page (see `read`)."""
        Timer.__init__(self)
        self._engine = engine
        self._new_handler = new_handler
        self._page = page
        self._cors_headers = cors_headers
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._needed = 0
        self._session: Session | None = None
        """The session of the request in progress; None in IDLE."""
        self._state = IDLE
        self._gzip = False
        self._reading_paused = False
        self._congested: UnreadAnswers | None = None

    # The connection.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._engine.idle_connections.add(self)
        self._engine.idle_wheel.start(self, IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._all_read()
        self._unregister()
        session, self._session = self._session, None
        if session is not None and session.poll is self:
            session.poll = None
            session.abort(Reason.TRANSPORT_ERROR)
        self._state = IDLE

    def _unregister(self) -> None:
        self._engine.idle_connections.discard(self)
        self._engine.idle_wheel.stop(self)

    def fire(self) -> None:
        """`IDLE_SECONDS` have passed since the latest request (rule 3)."""
        self._engine.idle_wheel.start(self, IDLE_SECONDS)
        if self._transport is not None and self._transport.is_closing():
            self._transport.abort()
        elif self._session is None:
            self.close()

    def close(self) -> None:
        """Close the connection when its answers have been sent."""
        if self._transport is not None:
            self._transport.close()

    abort = close
    """As `PendingPost`: the session has ended, and its POST needs no answer."""

    def _hand_back(self) -> None:
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        self._unregister()
        handler = self._new_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(bytes(self._buffer))

    # Requests.

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._session is not None or self._congested:
            if len(self._buffer) > MAX_BODY:
                self._pause_reading()
        elif len(self._buffer) >= self._needed:
            self._next_request()
            if len(data) >= MAX_BODY:
                # Let other connections run first: libuv reads one connection up to 32 times in a row.
                self._pause_reading()
                asyncio.get_running_loop().call_soon(self._resume_reading)

    def _next_request(self) -> None:
        while self._buffer and self._session is None and self._transport is not None and not self._congested:
            data = bytes(self._buffer)
            end = data.find(HEAD_END, 0, MAX_HEAD)
            if end < 0:
                if len(data) >= MAX_HEAD:
                    self._hand_back()
                return
            engine = self._engine
            max_body = MAX_BODY if engine.max_payload > MAX_BODY else engine.max_payload
            request = read(engine.path, max_body, self._page, data[:end], end + len(HEAD_END))
            session = None if request is None else engine.sessions.open.get(request.sid)
            if (
                request is None
                or session is None
                or session.socket is not None
                or session.revision != 4
                or (engine.binding is not None and not engine.binding.admits(request.sid, request.cookies))
            ):
                self._hand_back()
            elif request.end > len(data):
                self._needed = request.end
                return
            else:
                self._needed = 0
                del self._buffer[: request.end]
                engine.idle_wheel.start(self, IDLE_SECONDS)
                if request.post:
                    self._post(session, data[request.begin : request.end])
                else:
                    self._gzip = request.gzip
                    self._get(session)

    def _get(self, session: Session) -> None:
        try:
            parts = begin_poll(session)
        except OverlappingRequest:
            self._respond(OVERLAPPING, b"")
            return
        if parts:
            self._respond_parts(parts)
        else:
            self._session, self._state, session.poll = session, HANGING, self

    def wake(self) -> None:
        """As `PendingPoll`: answer at the end of this event-loop iteration."""
        if self._state == HANGING:
            self._state = WOKEN
            asyncio.get_running_loop().call_soon(self._answer_poll)

    def _answer_poll(self) -> None:
        session = self._session
        if session is not None and self._state == WOKEN:
            self._respond_parts(end_poll(session))
            self._next_request()

    def _post(self, session: Session, body: bytes) -> None:
        try:
            begin_post(session)
            packets = iter(decode(body, 4, self._engine.max_packets))
        except OverlappingRequest:
            self._respond(OVERLAPPING, b"")
        except engineio_packets.PayloadError as error:
            self._reject(session, error)
        else:
            self._deliver(session, packets)

    def _deliver(self, session: Session, packets: Iterator[engineio_packets.Packet]) -> None:
        try:
            if deliver(session, packets):
                self._respond(OK_POSTED, b"ok")
                return
        except engineio_packets.PayloadError as error:
            self._reject(session, error)
            return
        self._session, self._state, session.post = session, PAUSED, self
        loop = asyncio.get_running_loop()
        if session.paused:
            session.resumed = loop.create_future()
            session.resumed.add_done_callback(lambda _: self._continue_post(session, packets))
        else:
            loop.call_soon(self._continue_post, session, packets)

    def _continue_post(self, session: Session, packets: Iterator[engineio_packets.Packet]) -> None:
        session.post = None
        self._deliver(session, packets)
        self._next_request()

    def _reject(self, session: Session, error: engineio_packets.PayloadError) -> None:
        self._engine.payload_rejected(session.public_id, str(error))
        session.fail(Reason.PARSE_ERROR)
        self._respond(BAD, BAD_BODY)

    # Answers.

    def _respond_parts(self, parts: list[Part]) -> None:
        body = engineio_packets.encode(parts).encode()
        if self._gzip and len(body) >= self._engine.gzip_threshold:
            self._respond(OK_GZIP, gzip.compress(body, GZIP_LEVEL))
        else:
            self._respond(OK_TEXT, body)

    def _respond(self, head: bytes, body: bytes) -> None:
        self._session, self._state = None, IDLE
        if self._transport is not None:
            date = rfc822_formatted_time().encode()
            self._transport.write(
                b"%bDate: %b\r\n%bContent-Length: %d\r\n\r\n%b" % (head, date, self._cors_headers, len(body), body)
            )
            self._resume_reading()

    # Flow control.

    def _all_read(self) -> None:
        if self._congested is not None:
            self._congested.forget()
            self._congested = None

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self._congested and self._transport is not None:
            self._reading_paused = False
            self._transport.resume_reading()

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._congested = UnreadAnswers(self._engine, self._transport)

    def resume_writing(self) -> None:
        self._all_read()
        if self._session is None:
            self._resume_reading()
            self._next_request()
