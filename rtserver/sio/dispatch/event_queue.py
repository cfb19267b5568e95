"""Event queue: what a client sent and no handler has taken yet. One queue for each client, one bound for a connection.

1. The jobs of a queue run one at a time, in order. A job that finishes without waiting runs inside `put`; one that
   waits gets a task, and that task also runs the jobs after it. A job that fails is logged, and the next one runs.
2. When the backlog of a connection is full, the connection is not read until handlers catch up. Events are not lost,
   and a client cannot make the server store more than the limits allow.
3. Only waiting jobs count, not the running one, so that a handler may wait for an ack of its client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

import structlog

if TYPE_CHECKING:
    from rtserver.sio.limits.limits import Limits
    from rtserver.tasks import TaskSpawner
    from rtserver.telemetry.metrics import Metrics

log = structlog.get_logger("rtserver.sio")

Job = Callable[[], Awaitable[None] | None]
"""Does its work and returns None, or returns an awaitable for the rest of the work."""


class EventQueue:
    __slots__ = ("_spawner", "idle", "jobs")

    def __init__(self, spawner: TaskSpawner) -> None:
        self._spawner = spawner
        self.jobs: deque[Job] | None = None
        """The jobs that wait; None rather than an empty deque, as most queues never have one."""
        self.idle = True
        """Whether nothing runs and nothing waits."""

    def put(self, job: Job) -> None:
        """Run a job now when the queue is idle, else after those before it."""
        if self.idle:
            self.idle = False
            self.resume(_started(job))
        else:
            if self.jobs is None:
                self.jobs = deque()
            self.jobs.append(job)

    def resume(self, pending: Awaitable[None] | None) -> None:
        """Await `pending`, the rest of the running job, and then run the jobs that wait."""
        while pending is None and self.jobs:
            pending = _started(self.jobs.popleft())
        if pending is None:
            self.idle = True
            self.jobs = None
        else:
            self._spawner.spawn(self._run(pending))

    async def _run(self, pending: Awaitable[None] | None) -> None:
        try:
            while pending is not None:
                try:
                    await pending
                except Exception:  # the root of this client's task: the next job still runs
                    log.exception("job_failed")
                pending = None
                while pending is None and self.jobs:
                    pending = _started(self.jobs.popleft())
        finally:
            self.idle = True
            self.jobs = None


def _started(job: Job) -> Awaitable[None] | None:
    try:
        return job()
    except Exception:  # the root of a job that needs no task
        log.exception("job_failed")
        return None


class PausableSession(Protocol):
    """An Engine.IO session whose reading can be paused."""

    paused: bool

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class BacklogContext(Protocol):
    """The server, as a backlog sees it."""

    @property
    def limits(self) -> Limits: ...

    @property
    def metrics(self) -> Metrics: ...


class Backlog:
    """The events of one connection that wait for a handler. `size` is in characters and bytes, as received."""

    __slots__ = ("_server", "_session", "events", "size")

    def __init__(self, session: PausableSession, server: BacklogContext) -> None:
        self._session = session
        self._server = server
        self.events = 0
        self.size = 0

    @property
    def full(self) -> bool:
        limits = self._server.limits
        return self.events >= limits.max_backlog or self.size >= limits.max_backlog_bytes

    def add(self, size: int) -> None:
        """Count an event that has to wait; pauses the session when the backlog is full."""
        self.events += 1
        self.size += size
        if self.full and not self._session.paused:
            self._server.metrics.reads_paused += 1
            self._session.pause()

    def remove(self, size: int) -> None:
        """Count out an event that waits no longer; resumes the session when there is room again."""
        self.events -= 1
        self.size -= size
        if self._session.paused and not self.full:
            self._session.resume()
