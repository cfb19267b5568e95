"""Delivers what is due, again and again until it is taken or a day has passed.

1. Every server runs one; the queue gives each webhook to one of them at a time.
2. Whether the user is offline is decided when it is due, not when the notification is made: who has a device connected
   by then has seen it, and needs no webhook. The same goes for what was read or deleted meanwhile.
3. Trouble of the database or of the presence costs nothing but time.
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

BATCH = 64
SLOTS = 16
"""At the same time: a batch of which each takes the 15 s of the timeout is done within the lease."""
LEASE_MS = 90_000
POLL = 1.0
STATE_EVERY = 15.0
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 4 * 3600.0
ATTEMPTS = 14
"""With these pauses the last one is about a day after the first."""
UNKNOWN_PAUSE = 10.0
_PATIENCE = 3.0

log = structlog.get_logger("rtserver.webhooks")


class Queue(Protocol):
    async def claim(self, limit: int, lease: int) -> list[Webhook]: ...

    async def settle(self, settled: Sequence[Settled]) -> None: ...

    async def state(self) -> QueueState: ...


class WebhookSender(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, id_: str, body: bytes) -> str | None:
        """None when it was taken, else why not."""


class DispatcherMetrics(Protocol):
    webhooks_state: tuple[int, float, int] | None

    def webhook(self, outcome: str) -> None: ...


Online = Callable[[Sequence[str]], Awaitable[Collection[str] | None]]
"""Which of these users have a device connected, anywhere; None while that cannot be told."""


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
        self._looked = 0.0
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._sender.start()
        self._task = asyncio.create_task(self._run(), name="webhooks")

    async def stop(self) -> None:
        """What is under way may end; what does not is delivered again when its lease is over."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_PATIENCE)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._sender.stop()

    async def _run(self) -> None:
        while not self._stopping.is_set():
            pause = POLL
            try:
                pause = 0.0 if await self.turn() else POLL
                await self._look()
            except EventError:
                pause = UNKNOWN_PAUSE
            except Exception:
                log.exception("webhooks_failed")
                pause = UNKNOWN_PAUSE
            if pause:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause)

    async def turn(self) -> bool:
        """Deliver what is due now, a batch at most; whether there was any."""
        claimed = await self._queue.claim(BATCH, LEASE_MS)
        if not claimed:
            return False
        fresh = [webhook for webhook in claimed if not webhook.stale]
        online = await self._online(sorted({webhook.user for webhook in fresh})) if fresh else ()
        settled = await asyncio.gather(*(self._settled(webhook, online) for webhook in claimed))
        await self._queue.settle(settled)
        return True

    async def _settled(self, webhook: Webhook, online: Collection[str] | None) -> Settled:
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
        return self._tried(webhook, error)

    def _tried(self, webhook: Webhook, error: str | None) -> Settled:
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
        """Spread, so that what failed together does not come back together."""
        pause = min(self._first_pause * 3.0 ** (attempts - 1), LONGEST_PAUSE)
        return pause * random.uniform(0.8, 1.2)  # noqa: S311  no secret hangs on it

    async def _look(self) -> None:
        """Tell how long the queue is, now and then."""
        now = asyncio.get_running_loop().time()
        if now - self._looked >= STATE_EVERY or not self._looked:
            self._looked = now
            waiting, oldest, failed = await self._queue.state()
            self._metrics.webhooks_state = (waiting, (oldest or 0) / 1000, failed)
