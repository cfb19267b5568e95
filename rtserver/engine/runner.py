"""The way in for WebSockets without a web framework in between: the first request of a connection, seen before aiohttp.

A plain opening handshake of revision 4 is answered where its bytes arrive, with its open packet in the same write. For
everything else (pages, polls, upgrades, refusals, whatever is doubtful or comes in pieces) aiohttp's handler gets the
connection, with every byte of it. An application is served like this by `Runner` in the place of `web.AppRunner`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from aiohttp import web
from aiohttp.log import access_logger

from rtserver.engine.http.fastpath_parser import HEAD_END, MAX_HEAD, read_handshake
from rtserver.engine.transports.polling_fastpath import IDLE_SECONDS
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.engine.server import Engine

ENGINE = web.AppKey("engine", object)
"""The `Engine` that an application has attached."""


class Runner(web.AppRunner):
    """`web.AppRunner` for an application with a Socket.IO server: the same, and faster to connect to.

    Where an access log, middlewares or signals of the application expect to see each request, it is just the same.
    """

    async def _make_server(self) -> web.Server:
        server = await super()._make_server()
        engine = cast("Engine | None", self.app.get(ENGINE))
        if engine is None or self._logs or (self._is_watched and not engine.keep_always):
            return server
        return cast("web.Server", _ProtocolFactory(engine, server))

    @property
    def _logs(self) -> bool:
        log = self._kwargs.get("access_log", access_logger)
        return log is not None and log.isEnabledFor(logging.INFO)

    @property
    def _is_watched(self) -> bool:
        return bool(self.app.middlewares or self.app.on_response_prepare)


class _ProtocolFactory:
    """In the place of aiohttp's server, which makes a protocol for each connection."""

    def __init__(self, engine: Engine, server: web.Server) -> None:
        self._engine = engine
        self._server = server

    def __call__(self) -> asyncio.Protocol:
        return FastHandshakeProtocol(self._engine, self._server)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)


class FastHandshakeProtocol(asyncio.Protocol, Timer):
    __slots__ = ("_engine", "_new_handler", "_transport")

    def __init__(self, engine: Engine, new_handler: Callable[[], asyncio.Protocol]) -> None:
        Timer.__init__(self)
        self._engine = engine
        self._new_handler = new_handler
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._engine.kept.add(self)
        self._engine.idle_wheel.start(self, IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._leave()

    def _leave(self) -> None:
        self._engine.kept.discard(self)
        self._engine.idle_wheel.stop(self)

    def fire(self) -> None:
        """Nothing came."""
        self.close()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        transport = self._transport
        if transport is None:
            return
        self._transport = None
        self._leave()
        end = data.find(HEAD_END, 0, MAX_HEAD)
        if end > 0:
            request = read_handshake(self._engine.path, data[:end], transport)
            if request is not None and self._engine.opening.straight(request, transport, data[end + len(HEAD_END) :]):
                return
        handler = self._new_handler()
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)
