"""Our engineio.AsyncServer: the few things that the Socket.IO layer needs of a session.

Sends are synchronous (`push`), so that what is emitted in order leaves in order and a broadcast makes no tasks; session
ids begin with the instance's id, so that a proxy can route a polling request to the process that holds the session.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from typing import Any

import engineio
import structlog
from aiohttp import StreamReader, web
from engineio.async_drivers import aiohttp as driver
from engineio.packet import MESSAGE, Packet
from engineio.payload import Payload

log = structlog.get_logger("rtserver.engine")

SLOW_CLIENT_MESSAGES = 10_000
VOLATILE_BACKLOG = 64


class _WebSocket(driver.WebSocket):  # type: ignore[misc]  # engineio is untyped
    """Without permessage-deflate: it costs 100 kB a connection and is off in Node too."""

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        self._sock = web.WebSocketResponse(max_msg_size=self.server.max_http_buffer_size, compress=False)
        await self._sock.prepare(environ["aiohttp.request"])
        self.environ = environ
        try:
            await self.handler(self)
        except (ValueError, LookupError, OSError) as error:  # what is no Engine.IO packet; a peer that is gone
            log.info("websocket_rejected", error=type(error).__name__)
            self.server.close(self.handler.__self__.sid, self.server.reason.TRANSPORT_ERROR)
        return self._sock


# A polling client sends in one POST what it has: up to `max_http_buffer_size` of it, not sixteen packets.
Payload.max_decode_packets = 100_000


class _Body:
    """The body of a POST, read whole; aiohttp gives what one read brought."""

    def __init__(self, content: StreamReader) -> None:
        self._content = content

    async def read(self, size: int) -> bytes:
        body = bytearray()
        while len(body) < size and (chunk := await self._content.read(size - len(body))):
            body += chunk
        return bytes(body)


def _environ(request: web.Request) -> dict[str, Any]:
    environ: dict[str, Any] = driver.translate_request(request)
    environ["wsgi.input"] = _Body(request.content)
    return environ


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # engineio is untyped
    def __init__(self, *args: Any, instance_id: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instance_id = instance_id
        self.slow_clients = 0
        self._async: dict[str, Any] = {**self._async, "websocket": _WebSocket, "translate_request": _environ}
        self._closing: set[asyncio.Task[None]] = set()

    def generate_id(self) -> str:
        sid = secrets.token_urlsafe(15)
        return f"{self.instance_id}-{sid}" if self.instance_id else sid

    def push(self, sid: str, messages: Iterable[str | bytes], volatile: bool = False) -> None:
        """Queue Engine.IO messages for a session; one that is gone is passed over."""
        socket = self.sockets.get(sid)
        if socket is None or socket.closed:
            return
        backlog = socket.queue.qsize()
        if volatile and backlog >= VOLATILE_BACKLOG:
            return
        if backlog >= SLOW_CLIENT_MESSAGES:
            self.slow_clients += 1
            log.warning("slow_client_closed", session=sid, backlog=backlog)
            self.close(sid, self.reason.TRANSPORT_ERROR)
            return
        for message in messages:
            socket.queue.put_nowait(Packet(MESSAGE, message))

    def close(self, sid: str, reason: str) -> None:
        """Close a session after what is queued for it has been sent."""
        task = asyncio.ensure_future(self._close(sid, reason))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, sid: str, reason: str) -> None:
        socket = self.sockets.get(sid)
        if socket is None:
            return
        await socket.close(wait=False, abort=True, reason=reason)
        # The writer ends at this mark, and closes the WebSocket.
        socket.queue.put_nowait(None)

    async def closed(self) -> None:
        """Wait until every `close` asked for so far has been carried out."""
        if self._closing:
            await asyncio.wait(self._closing)

    def transport_name(self, sid: str) -> str:
        """`"polling"` or `"websocket"`; a session that is gone is told as polling."""
        socket = self.sockets.get(sid)
        return "websocket" if socket is not None and socket.upgraded else "polling"

    def is_open(self, sid: str) -> bool:
        socket = self.sockets.get(sid)
        return socket is not None and not socket.closed
