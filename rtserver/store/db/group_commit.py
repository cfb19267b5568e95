"""Group commit: while one transaction commits, what arrives gathers and goes into the next one together.

Knows nothing of tables: it hands batches to a `write` function and gives each waiter its own result or error.

1. `write` returns one result per item, in order, and has committed when it returns.
2. `Unavailable` is the database's, so it fails the whole batch. Any other error is some item's: the batch is halved
   until the item stands alone, so that its neighbours do not suffer.
3. An item whose waiter has gone before its batch began is not written; after that it is written all the same.
4. Waiters wake in the order of their items, so that what they broadcast keeps the order of `seq`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from rtserver.errors import Internal, RtServerError, Unavailable

QUEUE_LIMIT = 10_000
BATCH_LIMIT = 500

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = structlog.get_logger("rtserver.store")


class GroupWriter(Generic[Item, Result]):
    """One task that writes batch after batch, from `start` to `stop`."""

    def __init__(
        self,
        write: Callable[[Sequence[Item]], Awaitable[Sequence[Result]]],
        *,
        queue_limit: int = QUEUE_LIMIT,
        batch_limit: int = BATCH_LIMIT,
    ) -> None:
        self._write = write
        self._queue_limit = queue_limit
        self._batch_limit = batch_limit
        self._queue: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._wake = asyncio.Event()
        self._open = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if self._task is None:
            self._open = True
            self._task = asyncio.create_task(self._run(), name="group writer")

    async def stop(self) -> None:
        """Take no more, write what has gathered, end."""
        self._open = False
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
            self._task = None

    async def submit(self, item: Item) -> Result:
        """The result of `item` once it is committed; `Unavailable` where too much waits already."""
        if not self._open:
            raise Unavailable("The server is not taking messages")
        if len(self._queue) >= self._queue_limit:
            raise Unavailable("Too many messages are waiting for the database")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._queue.append((item, future))
        self._wake.set()
        return await future

    async def _run(self) -> None:
        while self._open or self._queue:
            await self._wake.wait()
            self._wake.clear()
            while self._queue:
                await self._settle(self._take())

    def _take(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        size = min(len(self._queue), self._batch_limit)
        batch = [self._queue.popleft() for _ in range(size)]
        return [entry for entry in batch if not entry[1].done()]

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  the root of the task: the next batch must have its turn
            await self._fail(batch, error)
            return
        for (_, future), result in zip(batch, results, strict=True):
            if not future.done():
                future.set_result(result)

    async def _fail(self, batch: list[tuple[Item, asyncio.Future[Result]]], error: Exception) -> None:
        if len(batch) > 1 and not isinstance(error, Unavailable):
            half = len(batch) // 2
            await self._settle(batch[:half])
            await self._settle(batch[half:])
            return
        if not isinstance(error, RtServerError):
            _log.error("write_failed", exc_info=error)
            error = Internal()
        if not self._open and isinstance(error, Unavailable):
            batch = batch + self._abandon()
        for _, future in batch:
            if not future.done():
                future.set_exception(_own(error))

    def _abandon(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """While stopping, one refusal of the database is enough: do not wait for it batch after batch."""
        rest = list(self._queue)
        self._queue.clear()
        return rest


def _own(error: Exception) -> Exception:
    """A waiter's own copy: one that all of them raise would collect all of their tracebacks."""
    return Unavailable(error.message) if isinstance(error, Unavailable) else error
