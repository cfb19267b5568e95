"""What a client sent and nobody has handled yet: the queue of one client, and the bound of one connection.

1. Jobs of a mailbox run one at a time, in order. One that fails is logged and does not stop the next.
2. A backlog that is full stops the reading of its connection until handlers catch up: events are not lost, and a
   client cannot make the server keep more than the high-water marks. Only what waits counts, not what runs, so that a
   handler may wait for an ack of its client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from rtserver.engine.session import Session
    from rtserver.sio.server import Server

log = structlog.get_logger("rtserver.sio")

Job = Callable[[], Awaitable[None]]

HIGH_EVENTS = 100
HIGH_SIZE = 1_048_576


class Mailbox:
    """The jobs of one client, run by a task that lives while there are any."""

    __slots__ = ("_jobs", "_running", "_server")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._jobs: deque[Job] = deque()
        self._running = False

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._running:
            self._running = True
            self._server.spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._jobs:
                try:
                    await self._jobs.popleft()()
                except Exception:  # the root of this client's task: the next job still runs
                    log.exception("job_failed")
        finally:
            self._running = False


class Backlog:
    """Events of one connection that wait to be handled; `size` is in characters and bytes as received."""

    __slots__ = ("_session", "events", "size")

    def __init__(self, session: Session) -> None:
        self._session = session
        self.events = 0
        self.size = 0

    @property
    def full(self) -> bool:
        return self.events >= HIGH_EVENTS or self.size >= HIGH_SIZE

    def add(self, size: int) -> None:
        self.events += 1
        self.size += size
        if self.full:
            self._session.pause()

    def done(self, size: int) -> None:
        self.events -= 1
        self.size -= size
        if self._session.paused and not self.full:
            self._session.resume()
