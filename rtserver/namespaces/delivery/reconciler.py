"""Reconciler: has what is saved delivered soon after a fault, once for all faults of the moment.

A broadcast between instances may be lost: while Redis is away, when a publish was dropped, when an instance dies
between the commit and the broadcast. What is saved is then delivered from the database, by each instance to its own
clients. Nothing is asked while there is no fault.

    fault                               who learns of it          who catches up
    own connection to Redis lost        this instance             this instance, when it is back
    own publishes dropped               this instance             the peers, whom it asks to
    an instance died                    presence, on each         all

1. One run at a time. What is reported during a run is served by one more run.
2. A run begins after a random part of `SPREAD`, so that instances do not ask the database together.
3. A run that fails (the database is away) is repeated until it succeeds; the log has the first failure and the success.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

import structlog

from rtserver.clock import now_ms
from rtserver.errors import EventError
from rtserver.reconnect import Outage
from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.delivery")

CATCH_UP = "catchUp"
"""The event between servers that asks the others to catch up."""
SPREAD = 0.5
MARGIN = 60.0
"""Seconds before a fault was noticed in which something may have been lost already."""
RETRY = 2.0
"""Seconds after a run that failed, and between two requests to the peers."""
SKEW = 1000
"""Milliseconds by which the clocks of two instances may differ."""

T = TypeVar("T")


class Reconciler:
    """`catch_up(since)` delivers what is missing; where nothing is known, what was saved since then (milliseconds).

    `ask_peers()` makes the other instances catch up.
    """

    def __init__(
        self, catch_up: Callable[[int], Awaitable[None]], ask_peers: Callable[[], Awaitable[None]], what: str
    ) -> None:
        self._catch_up = catch_up
        self._ask_peers = ask_peers
        self._what = what
        self._outage = Outage()
        self._since: int | None = None
        self._due = asyncio.Event()
        self._lost = asyncio.Event()
        self._connected = asyncio.Event()
        self._down_since: float | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to serve; what was reported before is forgotten, as no client was connected then."""
        self._due.clear()
        self._lost.clear()
        self._since = None
        self._tasks = [asyncio.create_task(self._serve(), name="reconciler"), asyncio.create_task(self._ask())]

    async def stop(self) -> None:
        """End a run that is under way."""
        await cancelled(*self._tasks)
        self._tasks = []

    def fault_over(self, seconds: float = 0.0) -> None:
        """A fault that lasted so long is over: catch up soon."""
        since = recent() - round(seconds * 1000)
        self._since = since if self._since is None else min(since, self._since)
        self._due.set()

    def redis_changed(self, ready: bool) -> None:
        """Redis is available, or no longer."""
        now = asyncio.get_running_loop().time()
        if not ready:
            self._connected.clear()
            self._down_since = now if self._down_since is None else self._down_since
            return
        self._connected.set()
        down, self._down_since = self._down_since, None
        if down is not None:
            self.fault_over(now - down)

    def publish_lost(self) -> None:
        """A message of ours to the other instances was lost."""
        self._lost.set()

    async def _serve(self) -> None:
        while True:
            await self._due.wait()
            await asyncio.sleep(random.uniform(0, SPREAD))  # noqa: S311  jitter is no secret
            self._due.clear()
            since, self._since = self._since, None
            try:
                await self._catch_up(now_ms() if since is None else since)
            except Exception as error:  # the root of a task: the next run must come
                if not isinstance(error, EventError):
                    log.exception("catch_up_failed", what=self._what)
                elif self._outage.begin():
                    log.warning("not_caught_up", what=self._what, error=error.message)
                await asyncio.sleep(RETRY)
                self._since = since if self._since is None or since is None else min(since, self._since)
                self._due.set()
            else:
                if (after := self._outage.end()) is not None:
                    log.info("caught_up", what=self._what, after=round(after, 1))

    async def _ask(self) -> None:
        while True:
            await self._lost.wait()
            await self._connected.wait()
            self._lost.clear()
            await self._ask_peers()
            await asyncio.sleep(RETRY)


def recent() -> int:
    """The time, in milliseconds, since when something may have been lost in a fault that nobody has noticed yet."""
    return now_ms() - round(MARGIN * 1000)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Split into parts of at most `size` items."""
    return (items[start : start + size] for start in range(0, len(items), size))
