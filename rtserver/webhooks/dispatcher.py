"""Webhook dispatcher: delivers due webhooks, and retries for about a day until the receiver accepts them.

1. Every server runs one; the queue leases each webhook to one server at a time.
2. Whether the user is offline is decided when the webhook is due, not when the notification is created: a user with a
   connected device has seen the notification, and needs no webhook. The same holds if it was read or deleted meanwhile.
3. Failures of the database or of presence cause delays, nothing else.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from rtserver.clock import now_ms
from rtserver.errors import EventError
from rtserver.store.notifications.webhook_queue import QueueState, Settled, Webhook
from rtserver.tasks import cancelled

BATCH = 64
SLOTS = 16
"""Concurrent attempts: a batch in which each takes the timeout of 15 s is done within the lease."""
LEASE_MS = 90_000
POLL = 1.0
STATE_EVERY = 15.0
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 4 * 3600.0
ATTEMPTS = 14
"""With these pauses the last one is about a day after the first."""
UNKNOWN_PAUSE = 10.0
_STOP_SECONDS = 3.0

log = structlog.get_logger("rtserver.webhooks")


class Queue(Protocol):
    async def claim(self, limit: int, lease: int) -> list[Webhook]: ...

    async def settle(self, settled: Sequence[Settled]) -> None: ...

    async def state(self) -> QueueState: ...


class WebhookSender(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, id_: str, body: bytes) -> str | None:
        """Return None if the receiver accepted the webhook, else the reason."""


class DispatcherMetrics(Protocol):
    webhooks_state: tuple[int, float, int] | None

    def webhook(self, outcome: str) -> None: ...


Online = Callable[[Sequence[str]], Awaitable[Collection[str] | None]]
"""Returns those of the users that have a device connected, on any server; None while that is unknown."""


class Dispatcher:
    """`first_pause`: seconds before the second attempt; each further pause is three times as long."""

    def __init__(
        self,
        queue: Queue,
        sender: WebhookSender,
        online: Online,
        metrics: DispatcherMetrics,
        *,
        first_pause: float = FIRST_PAUSE,
    ) -> None:
        self._queue, self._sender, self._online, self._metrics = queue, sender, online, metrics
        self._first_pause = first_pause
        self._slots = asyncio.Semaphore(SLOTS)
        self._stopping = asyncio.Event()
        self._failing = False
        self._measured_at = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to deliver; returns at once."""
        await self._sender.start()
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """Wait a few seconds for attempts that are running; the others are repeated when their lease is over."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_STOP_SECONDS)
            await cancelled(self._task)
        await self._sender.stop()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            pause = POLL
            try:
                pause = 0.0 if await self.deliver_due() else POLL
                await self._measure()
            except EventError:
                pause = UNKNOWN_PAUSE
            except Exception:
                log.exception("webhooks_failed")
                pause = UNKNOWN_PAUSE
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def deliver_due(self) -> bool:
        """Deliver up to a batch of due webhooks; return whether there were any."""
        claimed = await self._queue.claim(BATCH, LEASE_MS)
        if not claimed:
            return False
        fresh = [webhook for webhook in claimed if not webhook.stale]
        online = await self._online(sorted({webhook.user for webhook in fresh})) if fresh else ()
        settled = await asyncio.gather(*(self._deliver(webhook, online) for webhook in claimed))
        await self._queue.settle(settled)
        return True

    async def _deliver(self, webhook: Webhook, online: Collection[str] | None) -> Settled:
        if webhook.stale:
            self._metrics.webhook("read")
            return Settled(webhook)
        if online is None:
            return Settled(webhook, due_at=now_ms() + round(UNKNOWN_PAUSE * 1000))
        if webhook.user in online:
            self._metrics.webhook("online")
            return Settled(webhook)
        async with self._slots:
            error = await self._sender.send(webhook.id, webhook.body)
        return self._after_attempt(webhook, error)

    def _after_attempt(self, webhook: Webhook, error: str | None) -> Settled:
        if self._failing != (error is not None):
            self._failing = error is not None
            log.warning("webhooks_refused" if error else "webhooks_taken_again", id=webhook.id, reason=error)
        if error is None:
            self._metrics.webhook("delivered")
            return Settled(webhook)
        if webhook.attempts >= ATTEMPTS:
            self._metrics.webhook("parked")
            log.error("webhook_parked", id=webhook.id, user=webhook.user, reason=error)
            return Settled(webhook, error=error)
        self._metrics.webhook("failed")
        return Settled(webhook, now_ms() + round(1000 * self._pause(webhook.attempts)), error)

    def _pause(self, attempts: int) -> float:
        """Return the jittered pause after so many attempts. Not a `Backoff`: attempts are counted in the database."""
        pause = min(self._first_pause * 3.0 ** (attempts - 1), LONGEST_PAUSE)
        return pause * random.uniform(0.8, 1.2)  # noqa: S311  jitter is no secret

    async def _measure(self) -> None:
        """Report the length of the queue, once in `STATE_EVERY` seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._measured_at >= STATE_EVERY or not self._measured_at:
            self._measured_at = now
            waiting, oldest, failed = await self._queue.state()
            self._metrics.webhooks_state = (waiting, (oldest or 0) / 1000, failed)
