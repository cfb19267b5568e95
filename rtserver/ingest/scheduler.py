"""Carries out what was put off, when its time has come.

1. Every server runs one; `Schedule` gives what is due to one of them at a time, in order, which is kept among all that
   share a room or a user. What was due while no server ran is due at once.
2. It is carried out first and removed second. A crash in between repeats it under the same key.
3. `unavailable` costs nothing but time: everything waits, in order. What fails for another reason makes room for the
   next: it is tried again a few times if that was a fault of ours, and kept as failed, with the reason, if not.
4. Due times are those of the wall clock, which may be set; so no pause is longer than `POLL`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Protocol

import structlog

from rtserver.clock import now_ms
from rtserver.errors import EventError, Unavailable
from rtserver.ingest.intake import checked
from rtserver.ingest.ordering import Places, ordering_keys, windows
from rtserver.store.ingest.schedule import LEASE_MS, ScheduledItem

POLL = 2.0
BLOCKED = 0.5
"""Seconds to wait while another server carries out what is due."""
BATCH = 50
SIDE_BY_SIDE = 32
HOLD_EVERY = LEASE_MS / 3000
ATTEMPTS = 6
CLEAN_EVERY = 60.0
_LONGEST_BACKOFF = 15.0

log = structlog.get_logger("rtserver.schedule")

Execute = Callable[[str, Any, str], Awaitable[Any]]
"""Of kind, body and origin."""


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

    def through_door(self, door: str, outcome: str) -> None: ...


class Scheduler:
    """`clean` is called now and then, to forget what nobody needs any more."""

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
        self._wakes_at: int | None = None
        self._stopping = False
        self._cleaned: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="scheduler")

    async def stop(self, patience: float = 5.0) -> None:
        """What has begun ends first, if that takes no longer than `patience` seconds."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def nudge(self, due_at: int) -> None:
        """Something was put off until then."""
        if self._wakes_at is None or due_at < self._wakes_at:
            self._wake.set()

    async def _run(self) -> None:
        backoff = BLOCKED
        while not self._stopping:
            try:
                pause = await self._pause()
                if not pause:
                    pause = 0.0 if await self._turn() else BLOCKED
                backoff = BLOCKED
            except Unavailable:
                backoff = min(backoff * 2, _LONGEST_BACKOFF)
                pause = backoff
            except Exception:
                log.exception("scheduler_failed")
                pause = _LONGEST_BACKOFF
            if pause:
                await self._rest(pause)

    async def _rest(self, pause: float) -> None:
        self._wakes_at = self._clock() + round(pause * 1000)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        self._wake.clear()
        self._wakes_at = None

    async def _pause(self) -> float:
        """Seconds until something is due, 0 if it is. This only reads: a server at rest takes no lock."""
        await self._tidy()
        due = await self._schedule.next_due()
        ahead = POLL if due is None else (due - self._clock()) / 1000
        self._metrics.scheduled_late = max(0.0, -ahead)
        return max(0.0, min(ahead, POLL))

    async def _tidy(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._cleaned is None or now - self._cleaned >= CLEAN_EVERY:
            self._cleaned = now
            await self._clean()
            self._metrics.scheduled_failed = await self._schedule.failed()

    async def _turn(self) -> bool:
        """Carry out some of what is due; whether there was any."""
        loop = asyncio.get_running_loop()
        until = loop.time() + HOLD_EVERY
        batch = await self._schedule.claim(self._owner, BATCH)
        if not batch:
            return False
        self._metrics.scheduled_late = None
        done: list[str] = []
        try:
            for window in windows(batch, _places, SIDE_BY_SIDE):
                await self._held(self._fire_all(window, done))
                if self._stopping or loop.time() > until:
                    break
        finally:
            if done:
                await self._schedule.done(done)
            if len(done) < len(batch):
                await self._schedule.release(self._owner)
        return True

    async def _held(self, firing: Coroutine[Any, Any, None]) -> None:
        """What takes long stays ours meanwhile."""
        task = asyncio.ensure_future(firing)
        try:
            while not (await asyncio.wait({task}, timeout=HOLD_EVERY))[0]:
                await self._schedule.renew(self._owner)
            task.result()
        finally:
            task.cancel()

    async def _fire_all(self, window: list[ScheduledItem], done: list[str]) -> None:
        fired = await asyncio.gather(*map(self._fire, window), return_exceptions=True)
        done += [later.id for later, outcome in zip(window, fired, strict=True) if outcome is True]
        for outcome in fired:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _fire(self, later: ScheduledItem) -> bool:
        """Whether it is done. Raises `Unavailable`."""
        try:
            await self._execute(later.kind, later.body, _origin(later))
        except Unavailable:
            raise
        except EventError as error:
            if error.code != "internal" and not error.retryable:
                await self._park(later, f"{error.code}: {error.message}")
                return False
            await self._again(later, error)
            return False
        except Exception as error:
            log.exception("scheduled_failed", id=later.id, kind=later.kind)
            await self._again(later, error)
            return False
        self._metrics.through_door("schedule", "done")
        return True

    async def _again(self, later: ScheduledItem, error: Exception) -> None:
        if later.attempts + 1 >= ATTEMPTS:
            code = error.code if isinstance(error, EventError) else "internal"
            await self._park(later, f"{code}: failed {ATTEMPTS} times")
            return
        self._metrics.through_door("schedule", "retried")
        await self._schedule.retry(later.id, 1000 << later.attempts)

    async def _park(self, later: ScheduledItem, reason: str) -> None:
        self._metrics.through_door("schedule", "failed")
        log.warning("scheduled_parked", id=later.id, kind=later.kind, reason=reason)
        await self._schedule.park(later.id, reason)
        self._metrics.scheduled_failed = await self._schedule.failed()


def _places(later: ScheduledItem) -> Places:
    try:
        return ordering_keys(checked(later.kind, later.body))
    except EventError:
        return frozenset()


def _origin(later: ScheduledItem) -> str:
    """That under which it was left, so that the same entry, given out again when its time is over, changes nothing.

    An emit's stands entered from the time that it was put off.
    """
    return f"schedule:{later.id}" if later.key is None or later.kind == "emit" else later.key
