"""Connection takeover: an open TCP connection leaves aiohttp and gets a protocol of the engine.

For each request in progress aiohttp keeps a task, the request with its headers, a parser and a stream writer. A
WebSocket is open for hours and needs none of them after its handshake, and a client that polls would make aiohttp build
them anew for each poll. So the engine lets aiohttp parse and route a request, and then takes the connection away:

1. The response is written to the transport by the engine, in one write together with the first frame or the body.
2. `transport.set_protocol` gives the transport an asyncio protocol of the engine. From here on aiohttp sees no bytes.
3. `connection_lost` of aiohttp's `RequestHandler` is called, with its `transport` set to None first. It then frees the
   task, request, parser and headers, and cannot close the socket.
4. The handler coroutine returns `TakenOver`, a response that writes nothing. aiohttp may still log it.

What to mind:
5. Bytes that arrived behind the request are in aiohttp, not in the socket. Behind a WebSocket handshake they are in
   `_message_tail` and go to the new protocol. Behind any other request the parser may hold them, so a connection is
   taken only if `parser_is_between_requests` proves that it holds none.
6. aiohttp may have paused reading; the new protocol expects a transport that reads, and that reports what it buffers
   only from the usual mark on.
7. An access log, middlewares and signals of the application see no later request of the connection. `can_take_over`
   refuses where the application has any of them.

The private hooks of aiohttp used here are tested in tests/repo/test_seams.py.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from rtserver.engine.http.bounded_handler import BoundedHandler

HANDLERS = (RequestHandler, BoundedHandler)
"""The handlers whose connections can be taken: a subclass of an application may depend on later requests."""
NEXT_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class TakenOver(web.StreamResponse):
    """The response that a handler returns to aiohttp after a takeover: it writes nothing."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def can_take_over(request: web.Request, always: bool) -> bool:
    """Whether the connection of a completed request can leave aiohttp, later requests included.

    No other request may be in progress on it. There must be no access log, and (unless `always`) no middleware or
    signal of the application, which would miss the later requests.
    """
    handler: Any = request.protocol
    return (
        type(handler) in HANDLERS
        and request.version == HttpVersion11
        and request.keep_alive
        and request.content.is_eof()
        and not handler._messages
        and not handler._message_tail
        and not handler._logging_enabled
        and handler.transport is not None
        and not (handler._close or handler._force_close or handler._paused)
        and (always or not any(app.middlewares or app.on_response_prepare for app in request.match_info.apps))
    )


def parser_is_between_requests(handler: Any) -> bool:
    """Whether aiohttp's parser holds no part of a next request.

    That part would be lost, and the rest of the request, read alone, could look like a request of its own. The parser
    has no method that answers this, so it is fed a request; it accepts no more input after this.
    """
    try:
        messages, _, _ = handler._parser.feed_data(NEXT_REQUEST)
    except HttpProcessingError:
        return False
    return len(messages) == 1 and messages[0][0].path == "/" and not messages[0][0].raw_headers


def detach(handler: Any, transport: Any, protocol: asyncio.Protocol) -> None:
    """Give the transport another protocol; aiohttp's handler ends as if the connection were lost."""
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if handler._reading_paused or handler._buffer_paused:
        transport.resume_reading()
    if not transport.is_closing():
        transport.set_write_buffer_limits()
    handler.transport = None
    handler.connection_lost(None)


def take_over(request: web.Request, protocol: asyncio.Protocol, response: bytes) -> tuple[TakenOver, bytes]:
    """Write the 101 `response` of a WebSocket handshake and make `protocol` the protocol of the connection.

    Returns the response for aiohttp, and the bytes that arrived behind the handshake. Raises `ConnectionResetError`
    if the client has disconnected.
    """
    handler: Any = request.protocol
    transport = handler.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has disconnected")
    transport.write(response)
    tail, handler._message_tail = handler._message_tail, b""
    detach(handler, transport, protocol)
    return TakenOver(), tail
