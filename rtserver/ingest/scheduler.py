"""Scheduler: executes scheduled requests when they are due.

1. Every server runs one. `Schedule` leases due items to one server at a time, in order. Items that share a room or a
   user keep their order. Items that became due while no server ran are executed at once.
2. An item is executed first and removed second. A crash in between repeats it under the same key.
3. While the database is unavailable everything waits, in order. An item that fails for another reason is set aside:
   after a bug of ours it is retried a few times; otherwise it is kept as failed, with the reason.
4. Due times are wall-clock times, and that clock may be set; so no pause is longer than `POLL`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import structlog

from rtserver.backoff import Backoff
from rtserver.clock import now_ms
from rtserver.errors import EventError, Unavailable
from rtserver.ingest.intake import checked
from rtserver.ingest.ordering import NOTHING, OrderingKeys, ordering_keys, windows
from rtserver.store.ingest.schedule import LEASE_MS, ScheduledItem
from rtserver.tasks import cancelled

POLL = 2.0
BLOCKED = 0.5
"""Seconds to wait while another server executes what is due."""
BATCH = 50
CONCURRENCY = 32
RENEW_EVERY = LEASE_MS / 3000
"""Seconds between two renewals of the lease."""
ATTEMPTS = 6
CLEAN_EVERY = 60.0
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 15.0

log = structlog.get_logger("rtserver.schedule")

Execute = Callable[[str, Any, str], Awaitable[Any]]
"""Called with kind, body and origin."""


class Schedule(Protocol):
    async def claim(self, owner: str, limit: int) -> list[ScheduledItem]: ...

    async def renew(self, owner: str) -> None: ...

    async def release(self, owner: str) -> None: ...

    async def done(self, ids: list[str]) -> None: ...

    async def retry(self, id: str, pause_ms: int) -> None: ...

    async def park(self, id: str, reason: str) -> None: ...

    async def next_due(self) -> int | None: ...

    async def failed(self) -> int: ...


class SchedulerMetrics(Protocol):
    scheduled_late: float | None
    scheduled_failed: int | None

    def count_ingested(self, source: str, outcome: str) -> None: ...


class Scheduler:
    """`owner` identifies this server in leases. `clean` removes expired rows, once in `CLEAN_EVERY` seconds."""

    def __init__(
        self,
        schedule: Schedule,
        execute: Execute,
        metrics: SchedulerMetrics,
        *,
        owner: str,
        clean: Callable[[], Awaitable[Any]],
        clock: Callable[[], int] = now_ms,
    ) -> None:
        self._schedule, self._execute, self._metrics = schedule, execute, metrics
        self._owner, self._clean, self._clock = owner, clean, clock
        self._wake = asyncio.Event()
        self._sleeps_until: int | None = None
        self._stopping = False
        self._cleaned_at: float | None = None
        # Without jitter: with a database that is away, there is nothing to spread over.
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, jitter=0.0)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look for due items; returns at once."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="scheduler")

    async def stop(self, patience: float = 5.0) -> None:
        """Begin no further item, and wait up to `patience` seconds for those that are running."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience)
            await cancelled(self._task)
            self._task = None

    def nudge(self, due_at: int) -> None:
        """Note that an item is due at `due_at` (ms since the epoch): the pause ends if that is sooner."""
        if self._sleeps_until is None or due_at < self._sleeps_until:
            self._wake.set()

    async def _run(self) -> None:
        while not self._stopping:
            try:
                pause = await self._seconds_until_due()
                if not pause:
                    pause = 0.0 if await self._execute_due() else BLOCKED
                self._backoff.reset()
            except Unavailable:
                pause = self._backoff.pause()
            except Exception:
                log.exception("scheduler_failed")
                pause = _LONGEST_PAUSE
            if pause:
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        """Sleep until `nudge` or `stop`, at most so long."""
        self._sleeps_until = self._clock() + round(seconds * 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        self._wake.clear()
        self._sleeps_until = None

    async def _seconds_until_due(self) -> float:
        """Return the seconds until an item is due, 0 if one is. This only reads: an idle server takes no lock."""
        await self._maintain()
        due = await self._schedule.next_due()
        ahead = POLL if due is None else (due - self._clock()) / 1000
        self._metrics.scheduled_late = max(0.0, -ahead)
        return max(0.0, min(ahead, POLL))

    async def _maintain(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._cleaned_at is None or now - self._cleaned_at >= CLEAN_EVERY:
            self._cleaned_at = now
            await self._clean()
            self._metrics.scheduled_failed = await self._schedule.failed()

    async def _execute_due(self) -> bool:
        """Lease and execute a batch of due items; return whether there were any."""
        loop = asyncio.get_running_loop()
        until = loop.time() + RENEW_EVERY
        batch = await self._schedule.claim(self._owner, BATCH)
        if not batch:
            return False
        self._metrics.scheduled_late = None
        done: list[str] = []
        try:
            for window in windows(batch, _ordering_keys, CONCURRENCY):
                await self._leased(self._execute_window(window, done))
                if self._stopping or loop.time() > until:
                    break
        finally:
            if done:
                await self._schedule.done(done)
            if len(done) < len(batch):
                await self._schedule.release(self._owner)
        return True

    async def _leased(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, and renew the lease for as long as it takes."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=RENEW_EVERY))[0]:
                await self._schedule.renew(self._owner)
            task.result()
        finally:
            task.cancel()

    async def _execute_window(self, window: list[ScheduledItem], done: list[str]) -> None:
        """Execute items concurrently and add the ids of those that are done, also when one raises."""
        outcomes = await asyncio.gather(*map(self._execute_item, window), return_exceptions=True)
        done += [item.id for item, outcome in zip(window, outcomes, strict=True) if outcome is True]
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _execute_item(self, item: ScheduledItem) -> bool:
        """Return whether the item is done; raises `Unavailable`."""
        try:
            await self._execute(item.kind, item.body, _origin(item))
        except Unavailable:
            raise
        except EventError as error:
            if error.code != "internal" and not error.retryable:
                await self._park(item, f"{error.code}: {error.message}")
                return False
            await self._retry(item, error)
            return False
        except Exception as error:
            log.exception("scheduled_failed", id=item.id, kind=item.kind)
            await self._retry(item, error)
            return False
        self._metrics.count_ingested("schedule", "done")
        return True

    async def _retry(self, item: ScheduledItem, error: Exception) -> None:
        """Try the item again later: after 1 s, 2 s, 4 s, …; after `ATTEMPTS` it is parked."""
        if item.attempts + 1 >= ATTEMPTS:
            code = error.code if isinstance(error, EventError) else "internal"
            await self._park(item, f"{code}: failed {ATTEMPTS} times")
            return
        self._metrics.count_ingested("schedule", "retried")
        await self._schedule.retry(item.id, 1000 << item.attempts)

    async def _park(self, item: ScheduledItem, reason: str) -> None:
        """Keep the item as failed, with the reason."""
        self._metrics.count_ingested("schedule", "failed")
        log.warning("scheduled_parked", id=item.id, kind=item.kind, reason=reason)
        await self._schedule.park(item.id, reason)
        self._metrics.scheduled_failed = await self._schedule.failed()


def _ordering_keys(item: ScheduledItem) -> OrderingKeys:
    try:
        return ordering_keys(checked(item.kind, item.body))
    except EventError:
        return NOTHING


def _origin(item: ScheduledItem) -> str:
    """Return the key that the item was scheduled under, so that the same entry changes nothing when it is delivered
    again after its time.

    The key of an emit is in use from the time that it was scheduled, so an emit has another.
    """
    return f"schedule:{item.id}" if item.key is None or item.kind == "emit" else item.key
