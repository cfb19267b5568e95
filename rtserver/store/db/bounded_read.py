"""Bounded reads: work that may take long, on connections of its own, with a deadline that stops the statement.

Giving up the caller is not enough: the statement would go on, and its connection would be missing to the next callers.

1. Postgres: cancelling the task makes the driver send a cancel request for the running statement.
2. SQLite: a statement runs in a thread, which nothing cancels. `sqlite3_interrupt` ends it at its next step or page. It
   has no effect between two statements, and is therefore repeated until the work has ended.
3. A caller that is cancelled, because its client is gone, stops the work too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rtserver.errors import TimedOut
from rtserver.store.db.dialects import Interrupt
from rtserver.tasks import Tasks

Result = TypeVar("Result")
STOP_SECONDS = 2.0
"""How long a caller waits until the statement has really stopped: its connection is busy until then."""
_REPEAT_SECONDS = 0.02


class BoundedReads:
    """Runs work on the connections of `engine`. `interrupt` as in `Engines`."""

    def __init__(self, engine: AsyncEngine, interrupt: Interrupt | None) -> None:
        self._engine = engine
        self._interrupt = interrupt
        self._stopping = Tasks()

    async def run(self, work: Callable[[AsyncConnection], Awaitable[Result]], seconds: float) -> Result:
        """The result of `work`; raises `TimedOut` after `seconds`, waiting for a connection included."""
        running: list[Any] = []
        task = asyncio.create_task(self._work(work, running), name="bounded read")
        try:
            await asyncio.wait({task}, timeout=seconds)
        except asyncio.CancelledError:
            self._stopping.spawn(self._stop(task, running))
            raise
        if not task.done():
            await self._stop(task, running)
            raise TimedOut("The database took too long; ask for less")
        return task.result()

    async def finish(self) -> None:
        """Wait until nothing is being stopped any more."""
        await self._stopping.finish(STOP_SECONDS)

    async def _work(self, work: Callable[[AsyncConnection], Awaitable[Result]], running: list[Any]) -> Result:
        """`running` has the driver's connection while it is this task's, so that no other one is interrupted."""
        async with self._engine.connect() as connection:
            running.append((await connection.get_raw_connection()).driver_connection)
            try:
                return await work(connection)
            finally:
                running.clear()

    async def _stop(self, task: asyncio.Task[Result], running: list[Any]) -> None:
        """Stop the statement, and wait for the end of the task, whose result nobody needs."""
        if running and self._interrupt is not None:
            await _interrupt_until_done(task, running, self._interrupt)
        else:
            task.cancel()
            await asyncio.wait({task}, timeout=STOP_SECONDS)
        if task.done() and not task.cancelled():
            task.exception()  # retrieved, or asyncio would log it


async def _interrupt_until_done(task: asyncio.Task[Result], running: list[Any], interrupt: Interrupt) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + STOP_SECONDS
    while not task.done() and loop.time() < end:
        for driver in running:
            await interrupt(driver)
        await asyncio.wait({task}, timeout=_REPEAT_SECONDS)
    task.cancel()  # in vain unless it waits for something else
