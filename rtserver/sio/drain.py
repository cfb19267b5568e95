"""How a server lets go of its clients: nobody loses an answer, and they do not come back elsewhere as one herd.

1. From the beginning no session is opened any more: 503, at which a proxy asks another instance. The requests of the
   sessions that are there are served as ever.
2. Sessions are closed in even steps. What a client has under way when its turn comes (a handler, an upgrade, a POST)
   is finished first, and its acks leave, until `PATIENCE` seconds after the last step. What leaves has as long again.
3. A session has gone when its client was told: by the closing handshake of a WebSocket, by the answer to a poll. Stock
   clients take either for a transport that was lost, and reconnect by themselves.
4. `hurry` closes what is left at once, and shortens every wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from rtserver.engine.session.interfaces import Reason

if TYPE_CHECKING:
    from rtserver.sio.connection.connection import Connection
    from rtserver.sio.server import Server

log = structlog.get_logger("rtserver.sio")

STEP = 0.25
LOOK = 0.02
PATIENCE = 5.0
HURRIED_PATIENCE = 1.0


class Drain:
    """Of one server, once."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._hurried = asyncio.Event()
        self._leaving: list[Connection] = []
        self._over = False

    @property
    def patience(self) -> float:
        """Seconds that what is under way may still take."""
        return HURRIED_PATIENCE if self._hurried.is_set() else PATIENCE

    def hurry(self) -> None:
        self._hurried.set()

    async def run(self, seconds: float = 0.0) -> None:
        """Close all sessions, over at most `seconds`, sooner where they are few; only the first time."""
        if self._over:
            return
        self._over = True
        self._server.engine.stop_accepting()
        loop = asyncio.get_running_loop()
        waiting = list(self._server.connections.values())
        if waiting:
            log.info("draining", connections=len(waiting), seconds=seconds)
        for steps in range(max(1, math.ceil(seconds / STEP)), 0, -1):
            waiting = [connection for connection in waiting if not connection.closed]
            size = len(waiting) if self._hurried.is_set() else math.ceil(len(waiting) / steps)
            self._leaving += waiting[:size]
            waiting = waiting[size:]
            if not waiting:
                break
            started = loop.time()
            while loop.time() < started + STEP and not self._hurried.is_set():
                self._close_resting()
                await asyncio.sleep(LOOK)
        await self._until(self._close_resting)
        for connection in self._leaving:
            connection.close(Reason.TRANSPORT_CLOSE)
        await self._until(lambda: self._server.engine.is_drained)

    async def _until(self, done: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            if done() or loop.time() >= started + self.patience:
                return
            await asyncio.sleep(LOOK)

    def _close_resting(self) -> bool:
        """Close those whose turn it is and who have nothing under way; whether these were all."""
        leaving, self._leaving = self._leaving, []
        for connection in leaving:
            if connection.busy:
                self._leaving.append(connection)
            else:
                connection.close(Reason.TRANSPORT_CLOSE)
        return not self._leaving
