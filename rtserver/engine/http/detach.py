"""A request that belongs to another process, taken out of aiohttp together with its connection.

The other process gets the connection itself and the bytes of the request, as if both had just arrived there. Rules:

1. Only a request that is alone on its connection moves: nothing before it is still being sent, nothing behind it has
   been read but what comes behind a WebSocket handshake, which goes along.
2. A body of known length goes as far as it has come; the rest of it comes there. One that aiohttp decodes (chunked,
   compressed) is read whole and framed anew; past the limit of a payload its length alone goes, at which it is refused.
3. From `take` on nothing more may be read from the connection here, and `detach` follows without a pause.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from rtserver.engine.http.takeover import TakenOver, between_requests, detach

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"content-encoding", b"expect", b"trailer", b"te"})
_ANSWERED = frozenset({b"expect"})


class _ClosedProtocol(asyncio.Protocol):
    """The protocol of a connection that is another process's."""


class DetachedRequest:
    """`request` on its way out; `limit`: the most bytes of its body."""

    def __init__(self, request: web.Request, limit: int) -> None:
        self._request = request
        self._handler: Any = request.protocol
        self._limit = limit
        self._decoded: bytes | None = None

    @property
    def possible(self) -> bool:
        """Rule 1, as far as it can be told without harm."""
        handler = self._handler
        transport = handler.transport
        return (
            type(handler) is RequestHandler
            and transport is not None
            and not transport.is_closing()
            and transport.get_extra_info("sslcontext") is None
            and not transport.get_write_buffer_size()
            and not handler._messages
            and not (handler._close or handler._force_close)
        )

    @property
    def waits(self) -> bool:
        """Whether there is something that must be read here first, as slowly as the client sends it."""
        headers = self._request.headers
        coded = "Transfer-Encoding" in headers or "Content-Encoding" in headers
        return self._request.body_exists and (coded or self._handler._reading_paused)

    async def read(self) -> None:
        """Raises `ConnectionError` when it does not come whole."""
        try:
            self._decoded = await self._body()
        except web.RequestPayloadError as error:
            raise ConnectionResetError("no whole body") from error

    def take(self) -> bytes | None:
        """The bytes of the request and what came behind it; None when it is not alone, and cannot move."""
        if not self.possible:
            return None
        content = self._request.content
        if self._decoded is not None and len(self._decoded) > self._limit:
            return self._head(_FRAMING, [(b"Content-Length", b"%d" % len(self._decoded)), (b"Connection", b"close")])
        if self._decoded is not None:
            data = self._head(_FRAMING, [(b"Content-Length", b"%d" % len(self._decoded))]) + self._decoded
        else:
            data = self._head(_ANSWERED, []) + (content.read_nowait() if self._request.body_exists else b"")
        if self._handler._upgraded:
            return data + bytes(self._handler._message_tail)
        # Behind the last request of a connection aiohttp's parser takes nothing.
        if content.is_eof() and not self._request._message.should_close and not between_requests(self._handler):
            return None
        return data

    @property
    def descriptor(self) -> int:
        return int(self._handler.transport.get_extra_info("socket").fileno())

    def detach(self) -> TakenOver:
        """The connection is somebody else's by now: close what this process has of it."""
        transport = self._handler.transport
        detach(self._handler, transport, _ClosedProtocol())
        transport.close()
        return TakenOver()

    async def _body(self) -> bytes:
        body = bytearray()
        async for chunk in self._request.content.iter_any():
            body += chunk
            if len(body) > self._limit:
                break
        return bytes(body)

    def _head(self, without: frozenset[bytes], more: list[tuple[bytes, bytes]]) -> bytes:
        message = self._request._message
        dropped = without | {name.lower() for name, _ in more}
        headers = [header for header in message.raw_headers if header[0].lower() not in dropped] + more
        first = f"{message.method} {message.path} HTTP/{message.version.major}.{message.version.minor}\r\n"
        lines = b"".join(b"%b: %b\r\n" % header for header in headers)
        return first.encode("utf-8", "surrogateescape") + lines + b"\r\n"
