"""What the doors have in common that fetch from a broker: begin again, ever slower, and end in time.

Must not know any broker.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Protocol

import structlog

STABLE = 10.0
"""Seconds after which a connection counts as good, and the next pause is short again."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

log = structlog.get_logger("rtserver.doors")


class ConsumerMetrics(Protocol):
    def through_door(self, door: str, outcome: str) -> None: ...


class Consumer(ABC):
    """`door` is what the metrics call it; `address` is shown in the log, without its password."""

    failures: tuple[type[BaseException], ...] = (OSError,)
    """What going wrong with the broker looks like; everything else is a fault of ours."""

    def __init__(self, door: str, address: str, metrics: ConsumerMetrics) -> None:
        self._door, self._address, self._metrics = door, address, metrics
        self._stopping = asyncio.Event()
        self._down = False
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _one_connection(self) -> None:
        """Connect and fetch until `_stopping` is set or something fails. Call `_connected` once it works."""

    async def start(self) -> None:
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=self._door)

    async def stop(self, patience: float = 5.0) -> None:
        """What was fetched is finished first, if that takes no longer than `patience` seconds."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = loop.time()
            try:
                await self._one_connection()
            except self.failures as error:
                self._tell_down(error)
            except Exception:
                log.exception("door_failed", door=self._door)
            if loop.time() - began > STABLE:
                pause = _FIRST_PAUSE
            with suppress(TimeoutError):
                async with asyncio.timeout(pause * random.uniform(0.5, 1.0)):  # noqa: S311
                    await self._stopping.wait()
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _count(self, reason: str | None) -> None:
        self._metrics.through_door(self._door, "done" if reason is None else "failed")

    def _connected(self) -> None:
        if self._down:
            self._down = False
            log.info("door_reachable", door=self._door, address=self._address)

    def _tell_down(self, error: BaseException) -> None:
        if not self._down:
            self._down = True
            # The texts of these libraries may hold the login.
            log.warning("door_unreachable", door=self._door, address=self._address, error=type(error).__name__)
