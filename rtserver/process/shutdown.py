"""Orderly shutdown: what signals request, and the steps until the last client has left.

    request → `/readyz` returns 503 → `drain_delay` seconds of normal service → no new sessions → clients are closed
    over `drain_seconds` (see `rtserver.sio.drain`) → the parts stop, in the order of `rtserver.app.composition`

A second request skips the delay and closes all clients at once. Ctrl+C does so the first time: a person waits for it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from rtserver.app.composition import DRAINING, SERVER

log = structlog.get_logger("rtserver")

StopAccepting = Callable[[], Awaitable[None]]


class Shutdown:
    """The shutdown of one application that is being served."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._requested = asyncio.Event()
        self._hurried = asyncio.Event()

    def install_signal_handlers(self) -> None:
        """Handle SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.request)
        loop.add_signal_handler(signal.SIGINT, self.hurry)

    def request(self) -> None:
        """Request the shutdown, as each SIGTERM does; the second request hurries it."""
        if self._requested.is_set():
            self.hurry()
        else:
            self._requested.set()

    def hurry(self) -> None:
        """Request the shutdown without delay."""
        if self._requested.is_set():
            log.info("hurrying")
        self._requested.set()
        self._hurried.set()
        self._app[SERVER].drain.hurry()

    async def requested(self) -> None:
        """Wait until the shutdown is requested."""
        await self._requested.wait()

    async def drain(self, delay: float, seconds: float, stop_accepting: StopAccepting) -> None:
        """Close every client: `delay` seconds from now, over `seconds`. `stop_accepting` is awaited between the two."""
        log.info("stopping")
        self._app[DRAINING].set()
        if delay:
            try:
                async with asyncio.timeout(delay):
                    await self._hurried.wait()
            except TimeoutError:
                pass
        await stop_accepting()
        await self._app[SERVER].drain.run(seconds)
