"""When the process is to stop, and how it lets go: what signals ask for, and the order up to an empty house.

    asked → `/readyz` says 503 → `drain_delay`, with everything as ever → no new sessions → clients go, over
    `drain_seconds` (see `rtserver.sio.drain`) → the rest stops, in the order of `rtserver.app.composition`

Asked a second time, it hurries: no delay, all clients at once. Ctrl+C hurries the first time: somebody is waiting.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from rtserver.app.composition import DRAINING, SERVER

log = structlog.get_logger("rtserver")

LeavePort = Callable[[], Awaitable[None]]


class Shutdown:
    """Of one application that is being served."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()

    def listen(self) -> None:
        """Take SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.ask)
        loop.add_signal_handler(signal.SIGINT, self.hurry)

    def ask(self) -> None:
        """As for each SIGTERM."""
        if self._asked.is_set():
            self.hurry()
        else:
            self._asked.set()

    def hurry(self) -> None:
        if self._asked.is_set():
            log.info("hurrying")
        self._asked.set()
        self._hurried.set()
        self._app[SERVER].drain.hurry()

    async def asked(self) -> None:
        await self._asked.wait()

    async def drain(self, delay: float, seconds: float, leave_port: LeavePort | None = None) -> None:
        """See every client off. `leave_port` is called when new connections are for others, before clients go."""
        log.info("stopping")
        self._app[DRAINING].set()
        if delay:
            try:
                async with asyncio.timeout(delay):
                    await self._hurried.wait()
            except TimeoutError:
                pass
        if leave_port is not None:
            await leave_port()
        await self._app[SERVER].drain.run(seconds)
