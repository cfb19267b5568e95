"""Bounded handler: aiohttp's handler of one connection, with Node's limit of heads, and bodies that are read if wanted.

aiohttp limits each header by itself, to 8 kB, and its refusal quotes what it could not read: a piece of a cookie.
Behind an early response it parses and inflates the rest of the body for ten seconds, without a pause for others.

1. A request line and its headers may have `MAX_HEAD` bytes in all, as in Node; a larger head is refused with 431.
   Cookies of single sign-on often need more than 8 kB.
2. A head that never ends is refused as soon as it is too large. One that has begun must be complete after
   `HEAD_SECONDS`, as in Node; otherwise the connection is closed.
3. A request that cannot be parsed is refused with 400. The body of either refusal is the phrase of its status, the log
   has no part of the request, and the connection is closed.
4. What the client still sends is discarded for up to `LINGER_SECONDS`, unparsed and not faster than `PACE` per
   `PAUSE`: closed at once, the system would reset the connection, and the client would lose the response.
5. The refusal has the CORS headers that the origin policy gives to the request, as far as it can be read: otherwise a
   page learns nothing of the reason.

6. A response that the client does not read is counted from its first byte with what waits for all clients (`Unread`),
   which closes connections without progress. Nothing more is answered behind it.
7. A response before the end of the body is the last one of its connection: the rest is not parsed, let alone inflated,
   but discarded (rule 4).
8. A body in chunks that carry too little is refused (`rtserver.engine.http.body_limit`): for its handler it is broken,
   and so is a body whose framing cannot be parsed.
9. Of requests that wait for the one in progress no more is read once their bodies have `MAX_QUEUED` bytes.

The private hooks of aiohttp used here are tested in tests/repo/test_seams.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol

import structlog
from aiohttp import ClientError, web
from aiohttp.http_exceptions import HttpProcessingError, LineTooLong
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, RequestPayloadError, _ErrInfo
from multidict import CIMultiDict

from rtserver.engine.http.body_limit import PIECE, is_wasteful, pieces
from rtserver.engine.http.fastpath_parser import HEAD_END, MAX_HEAD
from rtserver.engine.http.request import HandshakeRequest
from rtserver.protocol.addresses import normal_peer

log = structlog.get_logger("rtserver.engine")

LINGER_SECONDS = 2.0
PACE = 65_536
PAUSE = 0.01
"""Seconds without reading, after so many bytes were discarded at once."""
HEAD_SECONDS = 60.0
MAX_QUEUED = 1_048_576
SMALLEST_HEADER = 4
RefusalHeaders = Callable[[HandshakeRequest], Mapping[str, str]]
"""Returns the headers of a refusal, by a request of which only the headers may be known."""


class Unread(Protocol):
    """What a client has not read on a connection. Implemented by `UnreadAnswers`."""

    def forget(self) -> None: ...


_TOO_LARGE = HttpProcessingError(code=431, message="the head is too large")


class UnreadRequest:
    """A request that was refused before it was parsed; a `HandshakeRequest` with the headers that could be read."""

    method = "GET"
    path_qs = "/"
    secure = False
    scheme = "http"

    def __init__(self, head: bytes, remote: str | None, transport: asyncio.BaseTransport | None) -> None:
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.query: dict[str, str] = {}
        self.remote = remote
        self.transport = transport
        for line in head.partition(HEAD_END)[0].split(b"\r\n")[1:]:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon and name.isascii() and value.isprintable():
                self.headers.add(name, value.strip(" \t"))

    @property
    def host(self) -> str:
        return self.headers.get("Host", "")


class BoundedHandler(RequestHandler):
    """aiohttp's handler of one connection, with the rules above."""

    __slots__ = ("_body", "_framing", "_head", "_head_overdue", "_limit", "_lost", "_refused", "_unread")

    def __init__(self, manager: BoundedServer, **options: Any) -> None:
        super().__init__(manager, **options)
        self._limit = max(MAX_HEAD, self.max_field_size)
        self._head = b""
        """What has arrived of a head that is not complete; after a refusal, the head that is at fault."""
        self._head_overdue: asyncio.TimerHandle | None = None
        self._body: StreamReader | None = None
        """The body of the latest request; while it arrives, there is no head to look at."""
        self._framing: int | None = None
        """Bytes of framing in that body so far; None unless it comes in chunks."""
        self._refused = False
        """Whether what arrives is discarded: it is, or is behind, what was refused."""
        self._lingering_time = 0.0
        self._lost: asyncio.Future[None] | None = None
        """Set while a refusal lingers; done when the connection is lost."""
        self._unread: Unread | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.transport is not None and not self.transport.is_closing():
            # `pause_writing` is called for each byte that the system does not accept.
            self.transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        if len(data) <= PIECE:
            self._receive(data)
            return
        for piece in pieces(data):
            self._receive(piece)

    def _receive(self, data: bytes) -> None:
        if self._refused:
            self._discard(data)
            return
        content = self._content
        alone = not self._upgraded and (self._body is None or self._body.is_eof())
        if alone:
            self._head += data
            if len(self._head) > self._limit and self._head.find(HEAD_END, 0, self._limit) < 0:
                self._refuse(len(self._messages))
                return
        known = len(self._messages)
        super().data_received(data)
        if len(self._messages) > known:
            single = alone and len(self._messages) == known + 1
            self._await_head(False)
            self._check(known, single)
            self._limit_queue()
            if single and self._framing is not None:
                self._count_framing(max(0, len(data) - self._limit - self._content))
        elif alone:
            self._await_head(True)
        elif self._framing is not None:
            self._count_framing(len(data) - (self._content - content))

    def _count_framing(self, size: int) -> None:
        """Count bytes of a body that are no content, and refuse it where they are too many."""
        self._framing = (self._framing or 0) + size
        # While the parser is paused, it holds content that is not counted yet.
        if not self._reading_paused and is_wasteful(self._framing, self._content):
            self._refuse_body("its chunks are too small")

    def _limit_queue(self) -> None:
        """Pause reading for rule 9; aiohttp resumes it as it takes requests out of the queue."""
        if not self._buffer_paused and sum(body.total_bytes for _, body in self._messages) > MAX_QUEUED:
            self._pause_reading_for_buffer()

    @property
    def _content(self) -> int:
        """The bytes of content of the latest body that have been parsed, as they were sent."""
        return 0 if self._framing is None or self._body is None else self._body.total_raw_bytes

    def _refuse_body(self, reason: str) -> None:
        """Let the handler, which may be waiting for the rest of the body, find it broken."""
        self._refused = True
        if self._body is not None and not self._body.is_eof():
            self._body.set_exception(RequestPayloadError(reason))

    def _discard(self, data: bytes) -> None:
        if len(data) >= PACE and self.transport is not None:
            self._pause_transport_reading()
            self._loop.call_later(PAUSE, self._resume_transport_reading)

    def _await_head(self, awaited: bool) -> None:
        """Close the connection unless the rest of a head arrives in time; False: it has arrived."""
        if awaited and self._head_overdue is None and self.transport is not None:
            self._head_overdue = self._loop.call_later(HEAD_SECONDS, self.transport.close)
        elif not awaited and self._head_overdue is not None:
            self._head_overdue.cancel()
            self._head_overdue = None

    def _check(self, known: int, measured: bool) -> None:
        """Look at the requests from `known` on; `measured`: there is one, and its size is right."""
        for index in range(known, len(self._messages)):
            message, body = self._messages[index]
            if isinstance(message, _ErrInfo):
                self._refuse_body("it cannot be parsed")
                return
            self._body, self._framing = body, 0 if message.chunked else None
            if not measured and _size(message) > self._limit:
                self._head = b""
                self._refuse(index)
                return
        self._head = b""

    def _refuse(self, index: int) -> None:
        """Put the refusal in place of the requests from `index` on."""
        self._refused = True
        while len(self._messages) > index:
            self._messages.pop()
        error = _ErrInfo(status=431, exc=_TOO_LARGE, message="")
        self._request_count += 1
        self._messages.append((error, EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Return the refusal of a request that was not parsed; other errors are aiohttp's business."""
        if status >= 500 or not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        too_large = exc is _TOO_LARGE or isinstance(exc, LineTooLong)
        answer = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST
        log.info("request_refused", status=answer.value, reason=type(exc).__name__, peer=normal_peer(request.remote))
        response = _LingeringResponse(self, status=answer, text=answer.phrase)
        if isinstance(self._manager, BoundedServer):  # it is None when the client has disconnected
            unread = UnreadRequest(self._head, request.remote, self.transport)
            response.headers.update(self._manager.refusal_headers(unread))
        response.force_close()
        return response

    async def linger(self) -> None:
        """Wait until the client has closed the connection, at most `LINGER_SECONDS`; nothing more is sent."""
        if self.transport is None:
            return
        self._lost = self._loop.create_future()
        self._resume_transport_reading()
        with suppress(TimeoutError, OSError):
            if self.transport.can_write_eof():
                self.transport.write_eof()
            async with asyncio.timeout(LINGER_SECONDS):
                await self._lost

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_result(None)
        self._all_read()
        self._await_head(False)
        super().connection_lost(exc)

    # Responses: early ones, and those that are not read.

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        incomplete = not request.content.is_eof()
        if incomplete:
            self._refused = True
            if isinstance(resp, web.StreamResponse):  # aiohttp reports what is none
                resp.force_close()
        finished = await super().finish_response(request, resp, start_time)
        with suppress(ClientError):
            if self.transport is not None:
                await self._drain_helper()
        if incomplete:
            await self.linger()
        return finished

    def pause_writing(self) -> None:
        super().pause_writing()
        if isinstance(self._manager, BoundedServer) and self.transport is not None:
            self._unread = self._manager.unread(self.transport)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._all_read()

    def _all_read(self) -> None:
        if self._unread is not None:
            self._unread.forget()
            self._unread = None


class _LingeringResponse(web.Response):
    """The last response of a connection, after which `handler` lingers."""

    def __init__(self, handler: BoundedHandler, **options: Any) -> None:
        super().__init__(**options)
        self._handler = handler

    async def write_eof(self, data: bytes = b"") -> None:
        await super().write_eof(data)
        await self._handler.linger()


def _size(message: Any) -> int:
    """Return the bytes of a parsed head, at most a few less than were received."""
    lines = sum(len(name) + len(value) + SMALLEST_HEADER for name, value in message.raw_headers)
    return len(message.method) + len(message.path) + len(" HTTP/1.1 \r\n\r\n") + lines


class BoundedServer(web.Server):
    """aiohttp's server of an application, whose connections have `BoundedHandler`."""

    def __init__(
        self, server: web.Server, refusal_headers: RefusalHeaders, unread: Callable[[asyncio.Transport], Unread]
    ) -> None:
        """`server` is the one that it replaces. `unread` counts what a transport has buffered, until it has left."""
        limits = {"max_line_size": MAX_HEAD, "max_field_size": MAX_HEAD, "max_headers": MAX_HEAD // SMALLEST_HEADER}
        super().__init__(
            server.request_handler,
            request_factory=server.request_factory,
            handler_cancellation=server.handler_cancellation,
            loop=server._loop,
            **{**limits, **server._kwargs},
        )
        self.refusal_headers = refusal_headers
        self.unread = unread

    def __call__(self) -> RequestHandler:
        return BoundedHandler(self, loop=self._loop, **self._kwargs)
