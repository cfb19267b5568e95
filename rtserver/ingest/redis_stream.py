"""The durable inbox: takes what backends left in a stream of Redis, has it carried out, and removes it then.

1. At least once: what is not known to be done stays. Whoever carries it out makes a repeat harmless.
2. What a server took and did not finish within `lease` seconds is another's. While it works on something, also while
   it waits for the database, it says so.
3. What was given out `MAX_DELIVERIES` times has ended a server, or failed for a fault of ours, each time: it goes to
   the dead. Such entries are taken up one by one, between the new ones, so that they harm and delay no others.
4. Redis may go, come back empty, fail over, or hold something else under our name: it is asked again, ever slower.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from redis.exceptions import ResponseError

from rtserver.cluster.redis.connection import FAILURES, Backoff, Connect, closed, opened
from rtserver.cluster.redis.error_replies import ErrorReplyLog
from rtserver.ingest.redis_stream_commands import START, RedisStreamCommands, StreamEntry, wake
from rtserver.telemetry.metrics import InboxState

LEASE = 9.0
BLOCK = 1.0
BATCH = 64
MAX_DELIVERIES = 5
MEASURE_EVERY = 5.0
SWEEP_EVERY = 60.0
_BURIED_BYTES = 65_536

log = structlog.get_logger("rtserver.inbox")

Settle = Callable[[StreamEntry, str | None], None]
"""Of an entry and, where it can never be carried out, the reason."""
Carry = Callable[[Sequence[StreamEntry], Settle], Awaitable[Any]]
"""Carries out entries and settles those that are over; the others are given out again after a lease."""


class StreamMetrics(Protocol):
    inbox: InboxState | None

    def redis_refused(self, code: str) -> None: ...

    def through_door(self, door: str, outcome: str) -> None: ...


class RedisStreamConsumer:
    """One for each server. `consumer` is a name that no other process has or had."""

    def __init__(
        self,
        connect: Connect,
        carry: Carry,
        metrics: StreamMetrics,
        *,
        stream: str,
        dead: str,
        consumer: str,
        address: str = "",
        lease: float = LEASE,
    ) -> None:
        self._connect, self._carry, self._metrics = connect, carry, metrics
        self._stream, self._dead, self._consumer = stream, dead, consumer
        self._address, self._lease = address, lease
        self._refusals = ErrorReplyLog(metrics.redis_refused, address)
        self._wire: RedisStreamCommands | None = None
        self._reading = False
        self._stopping = False
        self._down = False
        self._cursor = START
        self._told_at, self._untold = 0.0, 0
        self._claims_at = self._measures_at = self._sweeps_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="inbox")

    async def stop(self, patience: float = 5.0) -> None:
        """What was taken is finished first, if that takes no longer than `patience` seconds."""
        self._stopping = True
        if self._task is None:
            return
        if self._wire is not None and self._reading and self._wire.client_id is not None:
            with contextlib.suppress(*FAILURES):
                await wake(self._connect, self._wire.client_id)
        await asyncio.wait({self._task}, timeout=patience if self._wire is not None else 0)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._task = None

    async def _run(self) -> None:
        backoff = Backoff()
        while not self._stopping:
            try:
                await self._one_connection(backoff)
            except ResponseError as error:
                self._refusals.note(error)
                await asyncio.sleep(backoff.pause())
            except FAILURES as error:
                self._tell_down(error)
                await asyncio.sleep(backoff.pause())
            except Exception:
                log.exception("inbox_failed")
                await asyncio.sleep(backoff.pause())

    async def _one_connection(self, backoff: Backoff) -> None:
        connection = await opened(self._connect)
        wire = RedisStreamCommands(connection, self._stream, self._dead, self._consumer)
        try:
            await wire.make_group()
            await wire.identify()
            self._wire = wire
            self._measures_at = 0.0
            backoff.connected()
            self._tell_up()
            while not self._stopping:
                await self._turn(wire)
            await wire.sweep(self._lease * 4, leaving=True)
        finally:
            self._wire = None
            self._metrics.inbox = None
            await closed(connection)

    async def _turn(self, wire: RedisStreamCommands) -> None:
        await self._look_after(wire)
        left = None
        if self._now() >= self._claims_at:
            left, self._cursor = await wire.claim(self._lease, self._cursor)
            if left is not None:
                await self._take_up(wire, *left)
            if self._cursor == START:
                self._claims_at = self._now() + self._lease / 3
        self._reading = self._now() < self._claims_at and not self._stopping
        entries = await wire.read(BATCH, min(BLOCK, self._lease / 3) if self._reading else 0)
        self._reading = False
        if entries:
            await self._work(wire, entries)

    async def _take_up(self, wire: RedisStreamCommands, entry: StreamEntry, deliveries: int) -> None:
        """What another consumer left, or this one after a fault."""
        if deliveries > MAX_DELIVERIES:
            await self._bury(wire, entry, f"given out {MAX_DELIVERIES} times and never finished")
        else:
            self._metrics.through_door("inbox", "retried")
            await self._work(wire, [entry])

    async def _work(self, wire: RedisStreamCommands, entries: Sequence[StreamEntry]) -> None:
        """Have them carried out, keeping them ours for as long as that takes."""
        settled: list[tuple[StreamEntry, str | None]] = []
        carrying = asyncio.ensure_future(self._carry(entries, lambda entry, reason: settled.append((entry, reason))))
        over: set[str] = set()
        try:
            while not carrying.done():
                await asyncio.wait({carrying}, timeout=self._lease / 3)
                over |= await self._settle(wire, settled)
                left = [entry.id for entry in entries if entry.id not in over]
                if left and not carrying.done():
                    await wire.keep(left)
                    await self._look_after(wire)
            await carrying
            await self._settle(wire, settled)
        finally:
            carrying.cancel()

    async def _settle(self, wire: RedisStreamCommands, settled: list[tuple[StreamEntry, str | None]]) -> set[str]:
        """Remove what is over, and tell what that was."""
        now, settled[:] = list(settled), []
        done = [entry.id for entry, reason in now if reason is None]
        if done:
            await wire.settle(done)
            for _ in done:
                self._metrics.through_door("inbox", "done")
        for entry, reason in now:
            if reason is not None:
                await self._bury(wire, entry, reason)
        return {entry.id for entry, _ in now}

    async def _bury(self, wire: RedisStreamCommands, entry: StreamEntry, reason: str) -> None:
        self._tell_dead(entry, reason)
        fields: list[str | bytes] = ["reason", reason, "id", entry.id]
        for name, value in list(entry.fields.items())[:10]:
            fields += [b"entry:" + name[:200], value[:_BURIED_BYTES]]
        try:
            await wire.bury(entry.id, fields)
        except ResponseError as error:  # it comes back after a lease; the others must not wait for it
            self._refusals.note(error)
            return
        self._metrics.through_door("inbox", "failed")

    async def _look_after(self, wire: RedisStreamCommands) -> None:
        """What has to be done now and then."""
        now = self._now()
        if now >= self._measures_at:
            self._measures_at = now + MEASURE_EVERY
            state = await wire.state()
            age = 0.0 if state.oldest is None else max(0.0, time.time() - state.oldest / 1000)
            self._metrics.inbox = InboxState(state.waiting, state.pending, age)
        if now >= self._sweeps_at:
            self._sweeps_at = now + SWEEP_EVERY
            await wire.sweep(self._lease * 4)

    def _tell_dead(self, entry: StreamEntry, reason: str) -> None:
        """Once a second at the most: somebody may leave nothing else."""
        self._untold += 1
        if self._now() - self._told_at >= 1.0:
            log.warning("inbox_entry_dead", id=entry.id, reason=reason, entries=self._untold)
            self._told_at, self._untold = self._now(), 0

    def _tell_down(self, error: BaseException) -> None:
        if not self._down:
            self._down = True
            log.warning("inbox_unreachable", redis=self._address, error=str(error) or type(error).__name__)

    def _tell_up(self) -> None:
        if self._down:
            self._down = False
            log.info("inbox_reachable", redis=self._address)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
