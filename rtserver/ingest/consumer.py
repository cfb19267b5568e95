"""Broker consumer: the base class of the Kafka and RabbitMQ consumers: reconnects, the outage log, shutdown.

Does not know any broker.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Protocol

import structlog

from rtserver.backoff import Backoff
from rtserver.reconnect import Outage, reconnect
from rtserver.tasks import cancelled
from rtserver.telemetry.refusal_log import RefusalLog

STABLE = 10.0
"""Seconds after which a connection counts as good, and the next pause is short again."""
_FIRST_PAUSE = 0.2
_LONGEST_PAUSE = 10.0

log = structlog.get_logger("rtserver.doors")


class ConsumerMetrics(Protocol):
    def count_ingested(self, source: str, outcome: str) -> None: ...


class Consumer(ABC):
    """`source` is its name in the metrics; `address` appears in the log and has no password."""

    failures: tuple[type[Exception], ...] = (OSError,)
    """What a failing broker raises; any other exception is a bug of ours."""

    def __init__(self, source: str, address: str, metrics: ConsumerMetrics) -> None:
        self._source, self._address, self._metrics = source, address, metrics
        self._stopping = asyncio.Event()
        self._outage = Outage()
        self._refusals = RefusalLog(log)
        """Of entries that can never be executed."""
        self._backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, stable=STABLE)
        self._task: asyncio.Task[None] | None = None

    @abstractmethod
    async def _one_connection(self) -> None:
        """Connect and fetch until `_stopping` is set or something fails. Call `_connected` once it works."""

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self._stopping.clear()
        self._task = asyncio.create_task(
            reconnect(self._one_connection, self._connection_failed, self._backoff, stopping=self._stopping),
            name=self._source,
        )

    async def stop(self, patience: float = 5.0) -> None:
        """Stop fetching, and wait up to `patience` seconds until what was fetched is done."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=patience)
            await cancelled(self._task)
            self._task = None

    def _count(self, reason: str | None) -> None:
        self._metrics.count_ingested(self._source, "done" if reason is None else "failed")

    def _connected(self) -> None:
        self._backoff.connected()
        if self._outage.end() is not None:
            log.info("door_reachable", door=self._source, address=self._address)

    def _connection_failed(self, error: Exception) -> None:
        if not isinstance(error, self.failures):
            log.exception("door_failed", door=self._source)
        elif self._outage.begin():
            # The messages of these libraries may contain the login.
            log.warning("door_unreachable", door=self._source, address=self._address, error=type(error).__name__)
