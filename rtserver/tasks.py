"""Background tasks: kept from the garbage collector, logged when they fail, ended at shutdown; and periodic work.

The event loop keeps only weak references to tasks, so a task that nothing else refers to may vanish before it is done.
1. `Tasks` holds short work that is started and forgotten; `finish` gives it time, then cancels it.
2. `cancelled` ends long-running tasks that their owner keeps in a field.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import structlog

from rtserver.errors import EventError

log = structlog.get_logger("rtserver.sio")

EVERY = 60.0

_HOW: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class TaskSpawner(Protocol):
    def spawn(self, work: Coroutine[Any, Any, Any]) -> None: ...


class Tasks:
    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run in the background; on Python 3.12 and later, work that never waits is done when this returns."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(work, loop=loop, **_HOW)
        if task.done():
            _tell_failure(task)
        else:
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        _tell_failure(task)

    async def finish(self, seconds: float) -> None:
        """Wait for what runs, at most `seconds`; then cancel the rest."""
        running = self._running - {asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


async def cancelled(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel these tasks and wait until each has ended, whatever it ends with; None stands for one never started."""
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _tell_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_failed", exc_info=error)


async def run_periodically(sweep: Callable[[], Awaitable[int]], every: float = EVERY) -> None:
    """Remove expired rows every `every` seconds: `sweep` removes one batch and returns its size, 0 for none left."""
    while True:
        await asyncio.sleep(every * random.uniform(0.5, 1.0))  # noqa: S311  servers take turns, more or less
        try:
            while await sweep():
                pass
        except EventError as error:
            structlog.get_logger("rtserver.notifications").warning("not_swept", error=error.message)
