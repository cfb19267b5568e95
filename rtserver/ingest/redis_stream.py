"""Durable inbox: reads the entries that backends add to a Redis stream, has them executed, and removes them.

1. At-least-once delivery: an entry is removed once it is known to be done. The processor makes a repeat harmless.
2. An entry that a server read and did not finish within `lease` seconds may be claimed by another server. While a
   server works on an entry, or waits for the database, it renews the lease.
3. An entry that was delivered `MAX_DELIVERIES` times has each time ended a server or hit a bug of ours: it goes to the
   dead-letter stream. Claimed entries are processed one by one, between the new ones, so that they do not delay others.
4. Redis may go away, come back empty, fail over, or hold another type under our key: the consumer reconnects with
   growing pauses.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from redis.exceptions import ResponseError

from rtserver.cluster.redis.connection import FAILURES, Connect, closed, new_backoff, opened
from rtserver.cluster.redis.error_replies import ErrorReplyLog
from rtserver.ingest.entry_processor import loggable
from rtserver.ingest.redis_stream_commands import START, RedisStreamCommands, StreamEntry, unblock
from rtserver.reconnect import Outage, reconnect
from rtserver.tasks import cancelled
from rtserver.telemetry.metrics import InboxState
from rtserver.telemetry.refusal_log import RefusalLog

LEASE = 9.0
BLOCK = 1.0
BATCH = 64
MAX_DELIVERIES = 5
MEASURE_EVERY = 5.0
SWEEP_EVERY = 60.0
_DEAD_LETTER_BYTES = 65_536

log = structlog.get_logger("rtserver.inbox")

Settle = Callable[[StreamEntry, str | None], None]
"""Called with an entry that is over: with None if it is done, with the reason if it can never be executed."""
ProcessEntries = Callable[[Sequence[StreamEntry], Settle], Awaitable[Any]]
"""Executes entries and settles those that are over; the others are delivered again after a lease."""


class StreamMetrics(Protocol):
    inbox: InboxState | None

    def redis_refused(self, code: str) -> None: ...

    def count_ingested(self, source: str, outcome: str) -> None: ...


class RedisStreamConsumer:
    """One for each server. `consumer` is a name that no other process has or had; `lease` is in seconds.

    `stream` and `dead` are Redis keys. `address` appears in the log and has no password.
    """

    def __init__(
        self,
        connect: Connect,
        process: ProcessEntries,
        metrics: StreamMetrics,
        *,
        stream: str,
        dead: str,
        consumer: str,
        address: str = "",
        lease: float = LEASE,
    ) -> None:
        self._connect, self._process, self._metrics = connect, process, metrics
        self._stream, self._dead, self._consumer = stream, dead, consumer
        self._address, self._lease = address, lease
        self._error_replies = ErrorReplyLog(metrics.redis_refused, address)
        self._commands: RedisStreamCommands | None = None
        self._reading = False
        self._stopping = asyncio.Event()
        self._outage = Outage()
        self._backoff = new_backoff()
        self._cursor = START
        self._refusals = RefusalLog(log)
        self._claims_at = self._measures_at = self._sweeps_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._stopping.clear()
        self._task = asyncio.create_task(
            reconnect(self._one_connection, self._connection_failed, self._backoff, stopping=self._stopping),
            name="inbox",
        )

    async def stop(self, patience: float = 5.0) -> None:
        """Stop reading, and wait up to `patience` seconds until what was read is done."""
        self._stopping.set()
        if self._task is None:
            return
        if self._commands is not None and self._reading and self._commands.client_id is not None:
            with contextlib.suppress(*FAILURES):
                await unblock(self._connect, self._commands.client_id)
        await asyncio.wait({self._task}, timeout=patience if self._commands is not None else 0)
        await cancelled(self._task)
        self._task = None

    async def _one_connection(self) -> None:
        connection = await opened(self._connect)
        commands = RedisStreamCommands(connection, self._stream, self._dead, self._consumer)
        try:
            await commands.make_group()
            await commands.identify()
            self._commands = commands
            self._measures_at = 0.0
            self._backoff.connected()
            if self._outage.end() is not None:
                log.info("inbox_reachable", redis=self._address)
            while not self._stopping.is_set():
                await self._read_once(commands)
            await commands.remove_idle_consumers(self._lease * 4, leaving=True)
        finally:
            self._commands = None
            self._metrics.inbox = None
            await closed(connection)

    def _connection_failed(self, error: Exception) -> None:
        if isinstance(error, ResponseError):
            self._error_replies.note(error)
        elif not isinstance(error, FAILURES):
            log.exception("inbox_failed")
        elif self._outage.begin():
            log.warning("inbox_unreachable", redis=self._address, error=str(error) or type(error).__name__)

    async def _read_once(self, commands: RedisStreamCommands) -> None:
        """Process at most one claimed entry and one batch of new entries."""
        await self._maintain(commands)
        if self._now() >= self._claims_at:
            claimed, self._cursor = await commands.claim(self._lease, self._cursor)
            if claimed is not None:
                await self._process_claimed(commands, *claimed)
            if self._cursor == START:
                self._claims_at = self._now() + self._lease / 3
        self._reading = self._now() < self._claims_at and not self._stopping.is_set()
        entries = await commands.read(BATCH, min(BLOCK, self._lease / 3) if self._reading else 0)
        self._reading = False
        if entries:
            await self._process_leased(commands, entries)

    async def _process_claimed(self, commands: RedisStreamCommands, entry: StreamEntry, deliveries: int) -> None:
        """Process an entry that another consumer left unfinished, or this one after a bug."""
        if deliveries > MAX_DELIVERIES:
            await self._dead_letter(commands, entry, f"given out {MAX_DELIVERIES} times and never finished")
        else:
            self._metrics.count_ingested("inbox", "retried")
            await self._process_leased(commands, [entry])

    async def _process_leased(self, commands: RedisStreamCommands, entries: Sequence[StreamEntry]) -> None:
        """Process entries, and renew their lease for as long as that takes."""
        settled: list[tuple[StreamEntry, str | None]] = []
        processing = asyncio.ensure_future(
            self._process(entries, lambda entry, reason: settled.append((entry, reason)))
        )
        over: set[str] = set()
        try:
            while not processing.done():
                await asyncio.wait({processing}, timeout=self._lease / 3)
                over |= await self._settle(commands, settled)
                unfinished = [entry.id for entry in entries if entry.id not in over]
                if unfinished and not processing.done():
                    await commands.renew_lease(unfinished)
                    await self._maintain(commands)
            await processing
            await self._settle(commands, settled)
        finally:
            processing.cancel()

    async def _settle(self, commands: RedisStreamCommands, settled: list[tuple[StreamEntry, str | None]]) -> set[str]:
        """Remove the entries that are over, empty the list, and return their ids."""
        now, settled[:] = list(settled), []
        done = [entry.id for entry, reason in now if reason is None]
        if done:
            await commands.settle(done)
            for _ in done:
                self._metrics.count_ingested("inbox", "done")
        for entry, reason in now:
            if reason is not None:
                await self._dead_letter(commands, entry, reason)
        return {entry.id for entry, _ in now}

    async def _dead_letter(self, commands: RedisStreamCommands, entry: StreamEntry, reason: str) -> None:
        self._refusals.note("inbox_entry_dead", loggable(reason), {"stream": self._stream}, id=entry.id)
        fields: list[str | bytes] = ["reason", reason, "id", entry.id]
        for name, value in list(entry.fields.items())[:10]:
            fields += [b"entry:" + name[:200], value[:_DEAD_LETTER_BYTES]]
        try:
            await commands.dead_letter(entry.id, fields)
        except ResponseError as error:  # it is delivered again after a lease; the others must not wait for it
            self._error_replies.note(error)
            return
        self._metrics.count_ingested("inbox", "failed")

    async def _maintain(self, commands: RedisStreamCommands) -> None:
        """Do what is due: measure the inbox, remove idle consumers."""
        now = self._now()
        if now >= self._measures_at:
            self._measures_at = now + MEASURE_EVERY
            state = await commands.state()
            age = 0.0 if state.oldest is None else max(0.0, time.time() - state.oldest / 1000)
            self._metrics.inbox = InboxState(state.waiting, state.pending, age)
        if now >= self._sweeps_at:
            self._sweeps_at = now + SWEEP_EVERY
            await commands.remove_idle_consumers(self._lease * 4)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
