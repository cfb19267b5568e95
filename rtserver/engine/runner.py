"""Fast path for WebSocket handshakes: a connection's first request is parsed before aiohttp sees it.

1. A plain opening handshake of revision 4 is answered in `data_received`, with its open packet in the same write.
2. Everything else goes to aiohttp's handler, with every byte of it: pages, polls, upgrades, refusals, and whatever is
   doubtful or does not arrive in one piece.

`Runner` serves an application in this way; it stands in for `web.AppRunner`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from aiohttp import web
from aiohttp.log import access_logger

from rtserver.engine.http.bounded_handler import BoundedServer
from rtserver.engine.http.fastpath_parser import HEAD_END, MAX_HEAD, read_handshake
from rtserver.engine.session.unread_answers import UnreadAnswers
from rtserver.engine.transports.polling_fastpath import IDLE_SECONDS
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.handshake import Handshaker
    from rtserver.engine.session.state import EngineState


class FastPath(NamedTuple):
    """What the fast path needs of the engine that an application has attached."""

    engine: EngineState
    handshaker: Handshaker


FAST_PATH = web.AppKey("fast_path", FastPath)


class Runner(web.AppRunner):
    """`web.AppRunner` for an application with a Socket.IO server: the same, but faster at opening connections.

    With an access log, or with middlewares or signals of the application, which expect to see each request, it is
    `web.AppRunner` without the fast path. In both cases requests are limited by `rtserver.engine.http.bounded_handler`.
    """

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        fast_path = self.app.get(FAST_PATH)
        if fast_path is None:
            return server
        unread = partial(UnreadAnswers, fast_path.engine)
        server = BoundedServer(server, fast_path.handshaker.refusal_headers, unread)
        if self._has_access_log:
            return server
        if self._is_watched and not fast_path.engine.options.keep_connections:
            return server
        return cast("web.Server", _ProtocolFactory(fast_path, server))

    @property
    def _has_access_log(self) -> bool:
        log = self._kwargs.get("access_log", access_logger)
        return log is not None and log.isEnabledFor(logging.INFO)

    @property
    def _is_watched(self) -> bool:
        return bool(self.app.middlewares or self.app.on_response_prepare)


class _ProtocolFactory:
    """Stands in for aiohttp's server, which makes a protocol for each connection."""

    def __init__(self, fast_path: FastPath, server: web.Server) -> None:
        self._fast_path = fast_path
        self._server = server

    def __call__(self) -> asyncio.Protocol:
        return FastHandshakeProtocol(self._fast_path, self._server)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class FastHandshakeProtocol(asyncio.Protocol, Timer):
    """A new connection until its first bytes arrive. It implements `IdleConnection`."""

    __slots__ = ("_fast_path", "_new_handler", "_transport")

    def __init__(self, fast_path: FastPath, new_handler: Callable[[], asyncio.Protocol]) -> None:
        """`new_handler` makes aiohttp's protocol."""
        Timer.__init__(self)
        self._fast_path = fast_path
        self._new_handler = new_handler
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        engine = self._fast_path.engine
        engine.idle_connections.add(self)
        engine.idle_wheel.start(self, IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._unregister()

    def _unregister(self) -> None:
        engine = self._fast_path.engine
        engine.idle_connections.discard(self)
        engine.idle_wheel.stop(self)

    def fire(self) -> None:
        """Nothing arrived within `IDLE_SECONDS`."""
        self.close()

    def close(self) -> None:
        """Close the connection; nothing has been sent on it."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        self._unregister()
        engine, handshaker = self._fast_path
        end = data.find(HEAD_END, 0, MAX_HEAD)
        if end > 0:
            request = read_handshake(engine.path, data[:end], transport)
            if request is not None and handshaker.fast_handshake(request, transport, data[end + len(HEAD_END) :]):
                return
        handler = self._new_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)
