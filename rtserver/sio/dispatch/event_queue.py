"""What a client sent and nobody has handled yet: the queue of one client, and the bound of one connection.

1. Jobs of a mailbox run one at a time, in order. One that is done at once runs where it was put; one that waits gets a
   task, which also runs what comes after it. One that fails is logged and does not stop the next.
2. A backlog that is full stops the reading of its connection until handlers catch up: events are not lost, and a
   client cannot make the server keep more than the bounds. Only what waits counts, not what runs, so that a
   handler may wait for an ack of its client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from rtserver.engine.session.session import Session
    from rtserver.sio.server import Server
    from rtserver.tasks import TaskSpawner

log = structlog.get_logger("rtserver.sio")

Job = Callable[[], Awaitable[None] | None]
"""Does its work, or gives what is to be awaited for it."""


class EventQueue:
    __slots__ = ("_jobs", "_spawning", "idle")

    def __init__(self, spawning: TaskSpawner) -> None:
        self._spawning = spawning
        self._jobs: deque[Job] | None = None
        self.idle = True
        """Nothing runs and nothing waits."""

    @property
    def empty(self) -> bool:
        return self._jobs is None

    def put(self, job: Job) -> None:
        if self.idle:
            self.idle = False
            self.go_on(_started(job))
        else:
            if self._jobs is None:
                self._jobs = deque()
            self._jobs.append(job)

    def go_on(self, pending: Awaitable[None] | None) -> None:
        """Await `pending`, the rest of a job, and then run what was put meanwhile."""
        while pending is None and self._jobs:
            pending = _started(self._jobs.popleft())
        if pending is None:
            self.idle = True
            self._jobs = None
        else:
            self._spawning.spawn(self._run(pending))

    async def _run(self, pending: Awaitable[None] | None) -> None:
        try:
            while pending is not None:
                try:
                    await pending
                except Exception:  # the root of this client's task: the next job still runs
                    log.exception("job_failed")
                pending = None
                while pending is None and self._jobs:
                    pending = _started(self._jobs.popleft())
        finally:
            self.idle = True
            self._jobs = None


def _started(job: Job) -> Awaitable[None] | None:
    try:
        return job()
    except Exception:  # the root of a job that needs no task
        log.exception("job_failed")
        return None


class Backlog:
    """Events of one connection that wait to be handled; `size` is in characters and bytes as received."""

    __slots__ = ("_server", "_session", "events", "size")

    def __init__(self, session: Session, server: Server) -> None:
        self._session = session
        self._server = server
        self.events = 0
        self.size = 0

    @property
    def full(self) -> bool:
        bounds = self._server.bounds
        return self.events >= bounds.max_backlog or self.size >= bounds.max_backlog_bytes

    def add(self, size: int) -> None:
        self.events += 1
        self.size += size
        if self.full and not self._session.paused:
            self._server.metrics.reads_paused += 1
            self._session.pause()

    def done(self, size: int) -> None:
        self.events -= 1
        self.size -= size
        if self._session.paused and not self.full:
            self._session.resume()
