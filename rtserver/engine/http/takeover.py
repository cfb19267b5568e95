"""The WebSocket handshake, and taking the connection over from aiohttp.

aiohttp has parsed the request; from the 101 on the connection is ours. The transport gets our protocol, and aiohttp's
`RequestHandler` is told that its connection is lost, with the transport taken away first: so its request, task, parser
and headers are freed while the socket stays open. Bytes that arrived behind the handshake are handed on.

The hooks of aiohttp that this stands on are held by tests/test_seams.py.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from rtserver.engine.http.responses import BAD_REQUEST, Refusal
from rtserver.engine.session.interfaces import HandshakeRequest
from rtserver.engine.transports.polling_fastpath import FastPollingProtocol
from rtserver.engine.transports.websocket import WebSocket

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

NEXT_REQUEST = b"GET / HTTP/1.0\r\n\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class TakenOver(web.StreamResponse):
    """What the handler gives back to aiohttp, which shall write nothing any more, but may log it."""

    def __init__(self) -> None:
        super().__init__(status=101)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        return None


def wants_websocket(request: web.Request) -> bool:
    return request.headers.get("Upgrade", "").lower() == "websocket"


def accept(request: HandshakeRequest) -> bytes:
    """The value of Sec-WebSocket-Accept; raises `Refusal` for a handshake that is none (RFC 6455, 4.2.1)."""
    headers = request.headers
    key = headers.get("Sec-WebSocket-Key", "").strip()
    connection = (option.strip().lower() for option in headers.get("Connection", "").split(","))
    if request.method != "GET" or "upgrade" not in connection or headers.get("Sec-WebSocket-Version") != "13":
        raise Refusal(BAD_REQUEST)
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise Refusal(BAD_REQUEST)
    except (binascii.Error, ValueError):
        raise Refusal(BAD_REQUEST) from None
    return base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest())


def may_keep(request: web.Request, always: bool) -> bool:
    """Whether nobody would miss the requests that follow on this connection.

    Nothing else may be under way on it, and neither an access log nor (unless `always`) middlewares or signals of the
    application expect to see each request.
    """
    handler: Any = request.protocol
    return (
        type(handler) is RequestHandler
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


def keep(request: web.Request, answer: web.Response, engine: Engine) -> web.StreamResponse:
    """Send the answer, and handle what follows on this connection without aiohttp."""
    handler: Any = request.protocol
    if not between_requests(handler):
        answer.force_close()
        return answer
    transport, manager = handler.transport, handler._manager
    allowing = "".join(
        f"{name}: {value}\r\n" for name, value in answer.headers.items() if name.startswith("Access-") or name == "Vary"
    )
    kept = FastPollingProtocol(engine, manager, request.headers.get("Origin"), allowing.encode())
    body = answer.body if isinstance(answer.body, bytes) else b""
    head = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items() if name != "Content-Length")
    detach(handler, transport, kept)
    transport.write(b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (head.encode(), len(body), body))
    return TakenOver()


def between_requests(handler: Any) -> bool:
    """Whether aiohttp's parser holds no part of a next request, which would be lost: the rest of it, read alone, could
    be made to look like another request. The parser does not say, and takes nothing more after this.
    """
    try:
        messages, _, _ = handler._parser.feed_data(NEXT_REQUEST)
    except HttpProcessingError:
        return False
    return len(messages) == 1 and messages[0][0].path == "/" and not messages[0][0].raw_headers


def detach(handler: Any, transport: Any, protocol: asyncio.Protocol) -> None:
    """Give the transport another protocol; aiohttp's handler takes it for lost, and frees what it holds."""
    transport.set_protocol(protocol)
    protocol.connection_made(transport)
    if handler._reading_paused or handler._buffer_paused:
        transport.resume_reading()
    handler.transport = None
    handler.connection_lost(None)


def switching(accepted: bytes, headers: Mapping[str, str]) -> bytes:
    """The head of the answer 101."""
    more = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accepted + b"\r\n" + more + b"\r\n"
    )


def take_over(
    request: web.Request, accepted: bytes, socket: WebSocket, headers: Mapping[str, str], first: bytes = b""
) -> tuple[TakenOver, bytes]:
    """Answer 101 and make `socket` the protocol of the connection; with it the bytes that came behind the handshake.

    `first`: frames that leave together with the answer.
    """
    handler: Any = request.protocol
    transport = handler.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client has gone")
    transport.write(switching(accepted, headers) + first)
    tail, handler._message_tail = handler._message_tail, b""
    detach(handler, transport, socket)
    return TakenOver(), tail
