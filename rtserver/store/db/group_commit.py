"""Group commit: items that arrive while one transaction commits are written together in the next one.

A durable commit costs a flush to the disk (fsync) of a millisecond or more, whatever it contains. One transaction per
item would therefore limit a server to a few hundred items a second. Instead, callers queue their item and wait, and a
single task takes everything that is queued, writes it in one transaction and wakes the callers. There is no timer:
under low load a batch has one item and waits for nothing. Under high load the batches grow with the duration of a
commit: throughput rises, while an item normally waits for two commits only, the running one and its own. The queue is
bounded, so that a database that is too slow leads to `Unavailable` and not to unbounded memory.

`GroupWriter` knows nothing of tables. It passes batches to a `write` function and gives each caller its own result.

1. `write` returns one result per item, in order, and has committed when it returns.
2. `Unavailable` comes from the database and fails the whole batch. Any other error comes from one item: the batch is
   halved until that item stands alone, so that the other items are saved.
3. An item whose caller was cancelled before its batch began is not written; later it is written all the same.
4. Callers wake in the order of their items, so that what they broadcast keeps the order of `seq`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import structlog

from rtserver.errors import Internal, RtServerError, Unavailable

QUEUE_LIMIT = 10_000
"""Items that may wait; beyond, `submit` raises `Unavailable`."""
BATCH_LIMIT = 500
"""Items in one transaction, so that locks are not held for long."""

Item = TypeVar("Item")
Result = TypeVar("Result")

_log = structlog.get_logger("rtserver.store")


class GroupWriter(Generic[Item, Result]):
    """One task that writes batch after batch, from `start` to `stop`.

    `submit` runs in the callers' tasks; `write` is called in the writer's own task only, one batch at a time.
    """

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
        """Start the task; does nothing when it runs."""
        if self._task is None:
            self._open = True
            self._task = asyncio.create_task(self._run(), name="group writer")

    async def stop(self) -> None:
        """Reject new items, write the queued ones, and wait for the end of the task."""
        self._open = False
        self._wake.set()
        if self._task is not None:
            await asyncio.shield(self._task)
            self._task = None

    async def submit(self, item: Item) -> Result:
        """Queue an item and return its result once it is committed.

        Raises `Unavailable` while the writer is stopped, the queue is full or the database fails; `Internal` for an
        unexpected error; otherwise what `write` raises for this item.
        """
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
                await self._settle(self._next_batch())

    def _next_batch(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        size = min(len(self._queue), self._batch_limit)
        batch = [self._queue.popleft() for _ in range(size)]
        return [entry for entry in batch if not entry[1].done()]

    async def _settle(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        if not batch:
            return
        try:
            results = await self._write([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001  the root of the task: the next batch must be written
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
                future.set_exception(_copy(error))

    def _abandon(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """While stopping, one failure of the database fails the whole queue, rather than each batch after a timeout."""
        rest = list(self._queue)
        self._queue.clear()
        return rest


def _copy(error: Exception) -> Exception:
    """A separate exception for each caller: a shared one would collect the tracebacks of all of them."""
    return Unavailable(error.message) if isinstance(error, Unavailable) else error
