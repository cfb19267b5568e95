"""Draining: closes the sessions of a server that stops, without losing acks and without one wave of reconnects.

1. New sessions are refused from the start, with status 503, at which a proxy tries another instance. Requests of
   existing sessions are served as before.
2. Sessions are closed in even steps. What a client has under way at its step (a handler, an upgrade, a POST) is
   finished first and its acks are sent, for at most `PATIENCE` seconds after the last step. What is queued for
   clients then has as long again to be sent.
3. A session is closed when its client has received the close: by the closing handshake of a WebSocket, or by the
   answer to a poll. Stock clients treat either as a lost transport and reconnect.
4. `hurry` closes the remaining sessions at once and shortens every wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

import structlog

from rtserver.engine.session.interfaces import Reason

if TYPE_CHECKING:
    from rtserver.engine.server import Engine
    from rtserver.sio.connection.connection import Connection

log = structlog.get_logger("rtserver.sio")

STEP = 0.25
POLL = 0.02
PATIENCE = 5.0
HURRIED_PATIENCE = 1.0


class DrainingServer(Protocol):
    """The server as its drain sees it."""

    @property
    def engine(self) -> Engine: ...

    @property
    def connections(self) -> Mapping[str, Connection]: ...


class Drain:
    """The drain of one server. It runs once."""

    def __init__(self, server: DrainingServer) -> None:
        self._server = server
        self._hurried = asyncio.Event()
        self._leaving: list[Connection] = []
        self._started = False

    @property
    def patience(self) -> float:
        """Seconds that remain for what is under way."""
        return HURRIED_PATIENCE if self._hurried.is_set() else PATIENCE

    def hurry(self) -> None:
        """Close the remaining sessions at once."""
        self._hurried.set()

    async def run(self, seconds: float = 0.0) -> None:
        """Close all sessions, spread over at most `seconds`; does nothing the second time."""
        if self._started:
            return
        self._started = True
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
                self._close_idle()
                await asyncio.sleep(POLL)
        await self._until(self._close_idle)
        for connection in self._leaving:
            connection.close(Reason.TRANSPORT_CLOSE)
        await self._until(lambda: self._server.engine.is_drained)

    async def _until(self, done: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            if done() or loop.time() >= started + self.patience:
                return
            await asyncio.sleep(POLL)

    def _close_idle(self) -> bool:
        """Close the connections of this and earlier steps that have nothing under way; whether none is left."""
        leaving, self._leaving = self._leaving, []
        for connection in leaving:
            if connection.busy:
                self._leaving.append(connection)
            else:
                connection.close(Reason.TRANSPORT_CLOSE)
        return not self._leaving
