"""Detached request: a request for another process, taken out of aiohttp together with its connection.

The other process receives the file descriptor of the connection and the bytes of the request, as if both had just
arrived there. Rules:

1. A request can be detached only if it is alone on its connection. No earlier response may be in progress, and nothing
   behind it may have been read, except the bytes behind a WebSocket handshake; these are sent along.
2. Of a body of known length the part received so far is sent along; the other process receives the rest.
3. A body that aiohttp decodes (chunked, or inflated where that is on) is read to its end and sent with a
   `Content-Length`. Beyond the payload limit only the length is sent, and the other process rejects the request for it.
4. After `request_bytes` nothing more may be read from the connection here; `detach` must follow without an `await`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from rtserver.engine.http.body_limit import is_inflated
from rtserver.engine.http.takeover import HANDLERS, TakenOver, detach, parser_is_between_requests

_FRAMING = frozenset({b"content-length", b"transfer-encoding", b"expect", b"trailer", b"te"})
_INFLATED = _FRAMING | {b"content-encoding"}
_ANSWERED = frozenset({b"expect"})


class _ClosedProtocol(asyncio.Protocol):
    """Placeholder protocol for a connection handed to another process."""


class DetachedRequest:
    """`limit`: the maximum size of its body, in bytes."""

    def __init__(self, request: web.Request, limit: int) -> None:
        self._request = request
        self._handler: Any = request.protocol
        self._limit = limit
        self._decoded: bytes | None = None

    @property
    def possible(self) -> bool:
        """Rule 1, as far as it can be checked without changing the state of aiohttp's parser."""
        handler = self._handler
        transport = handler.transport
        return (
            type(handler) in HANDLERS
            and transport is not None
            and not transport.is_closing()
            and transport.get_extra_info("sslcontext") is None
            and not transport.get_write_buffer_size()
            and not handler._messages
            and not (handler._close or handler._force_close)
        )

    @property
    def must_read_first(self) -> bool:
        """Whether the body must be read here first, as slowly as the client sends it."""
        coded = "Transfer-Encoding" in self._request.headers or is_inflated(self._request.content)
        return self._request.body_exists and (coded or self._handler._reading_paused)

    async def read(self) -> None:
        """Read the body; raises `ConnectionError` when it does not arrive completely."""
        try:
            self._decoded = await self._body()
        except web.RequestPayloadError as error:
            raise ConnectionResetError("incomplete body") from error

    def request_bytes(self) -> bytes | None:
        """Return the request and what arrived behind it; None if it is not alone and cannot be detached."""
        if not self.possible:
            return None
        content = self._request.content
        replaced = _INFLATED if is_inflated(content) else _FRAMING
        if self._decoded is not None and len(self._decoded) > self._limit:
            return self._head(replaced, [(b"Content-Length", b"%d" % len(self._decoded)), (b"Connection", b"close")])
        if self._decoded is not None:
            data = self._head(replaced, [(b"Content-Length", b"%d" % len(self._decoded))]) + self._decoded
        else:
            data = self._head(_ANSWERED, []) + (content.read_nowait() if self._request.body_exists else b"")
        if self._handler._upgraded:
            return data + bytes(self._handler._message_tail)
        # aiohttp's parser accepts nothing behind the last request of a connection, so there is nothing to prove.
        if (
            content.is_eof()
            and not self._request._message.should_close
            and not parser_is_between_requests(self._handler)
        ):
            return None
        return data

    @property
    def descriptor(self) -> int:
        """The file descriptor of the connection."""
        return int(self._handler.transport.get_extra_info("socket").fileno())

    def detach(self) -> TakenOver:
        """Close this process's copy of the connection, which the other process has by now."""
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
