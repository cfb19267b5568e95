"""Load: a steady stream of numbers from one bus to another, and which of them arrived."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from structlog.testing import capture_logs

from rtserver.cluster.redis.bus import RedisBus
from tests.support.eventually import eventually

EVERY = 0.002
TIMEOUT = 1.0
"""What a bus gives Redis; whoever publishes waits for none of it."""
CHANNEL = "load"


async def nothing() -> None:
    return None


@dataclass
class Outage:
    """`published`: number of live events during the outage; `lost`: number of them that never arrived."""

    published: int
    lost: int
    logs: list[Any]

    def lines(self, event: str) -> int:
        return sum(line["event"] == event for line in self.logs)


class Load:
    def __init__(self, sender: RedisBus, receiver: RedisBus) -> None:
        self.sender, self.receiver = sender, receiver
        self.sent = 0
        self.received: list[int] = []
        self.slowest = 0.0
        self._downs = 0
        sender.on_change(self._changed)
        receiver.on_change(self._changed)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Load"]:
        self.receiver.subscribe(CHANNEL, self._hear)
        assert await self.receiver.wait_subscribed(CHANNEL)
        task = asyncio.create_task(self._publish())
        await self.flowing()
        yield self
        task.cancel()

    async def flowing(self, count: int = 50) -> None:
        """Wait until numbers that are published from now on arrive."""
        wanted = self.sent + count
        await eventually(lambda: self.received and self.received[-1] >= wanted)

    async def survive(
        self,
        fault: Callable[[], Awaitable[Any]],
        heal: Callable[[], Awaitable[Any]] = nothing,
        noticed: Callable[[], bool] = lambda: True,
    ) -> Outage:
        """Only events published during the outage may be lost; none may come late, twice or out of order."""
        first, downs = self.received[-1] + 1, self._downs
        with capture_logs() as logs:
            await fault()
            await eventually(lambda: self._downs > downs and noticed())
            await heal()
            await eventually(lambda: self.sender.ready and self.receiver.ready)
            end = self.sent
            await self.flowing(200)
        lost = set(range(first, self.received[-1])) - set(self.received)
        assert all(first <= number < end for number in lost), (first, end, sorted(lost))
        assert self.received == sorted(set(self.received))
        assert self.slowest < TIMEOUT
        return Outage(end - first, len(lost), logs)

    async def _publish(self) -> None:
        while True:
            began = time.monotonic()
            self.sender.publish(CHANNEL, b"%d" % self.sent)
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.sent += 1
            await asyncio.sleep(EVERY)

    def _hear(self, channel: str, payload: bytes) -> None:
        if payload.isdigit():
            self.received.append(int(payload))

    def _changed(self, ready: bool) -> None:
        self._downs += not ready
