"""Background tasks: held until they end, logged when they fail, ended at shutdown. Also periodic work.

The event loop holds only weak references to tasks, so a task without another reference may be collected before it ends.
1. `Tasks` holds short work that no caller awaits; `finish` gives it time and then cancels it.
2. `cancelled` ends long-running tasks that their owner holds in an attribute.
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

SWEEP_INTERVAL = 60.0
"""Seconds."""

_EAGER_START: dict[str, Any] = {"eager_start": True} if sys.version_info >= (3, 12) else {}


class TaskSpawner(Protocol):
    """Runs coroutines in the background; `Tasks` is one."""

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None: ...


class Tasks:
    """The background tasks of one owner."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run a coroutine in the background; since Python 3.12, up to its first suspension before this returns."""
        loop = asyncio.get_running_loop()
        task = asyncio.Task(work, loop=loop, **_EAGER_START)
        if task.done():
            _log_failure(task)
        else:
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        _log_failure(task)

    async def finish(self, seconds: float) -> None:
        """Wait at most `seconds` for the running tasks, then cancel those that are left and wait for their end."""
        running = self._running - {asyncio.current_task()}
        if running:
            _, late = await asyncio.wait(running, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)


async def cancelled(*tasks: asyncio.Future[Any] | None) -> None:
    """Cancel tasks and wait until each has ended; exceptions are ignored. None stands for a task never started."""
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running)


def _log_failure(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("task_failed", exc_info=error)


async def run_periodically(sweep: Callable[[], Awaitable[int]], every: float = SWEEP_INTERVAL) -> None:
    """Remove expired rows every `every` seconds: `sweep` removes one batch and returns its size, 0 at the end.

    After each batch it pauses for as long as the batch took, so that writers of other processes find the lock free.
    """
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(every * random.uniform(0.5, 1.0))  # noqa: S311  servers sweep at different times
        try:
            began = loop.time()
            while await sweep():
                await asyncio.sleep(loop.time() - began)
                began = loop.time()
        except EventError as error:
            structlog.get_logger("rtserver.notifications").warning("not_swept", error=error.message)
