"""Composition of ingest: the intake for requests of backends, the scheduler, and the consumers of brokers."""

from __future__ import annotations

import asyncio
import importlib
import secrets
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import requires
from typing import TYPE_CHECKING, Any

from rtserver.config.settings import Settings
from rtserver.errors import ConfigError
from rtserver.ingest.batching import NotificationBatcher
from rtserver.ingest.broker_addresses import parse_kafka_url
from rtserver.ingest.commands import Request
from rtserver.ingest.consumer import Consumer
from rtserver.ingest.entry_processor import EntryProcessor
from rtserver.ingest.intake import Intake, checked
from rtserver.ingest.interfaces import EventEmitter, MessagePoster, Notifier
from rtserver.ingest.scheduler import Scheduler
from rtserver.store.db.database import Database
from rtserver.store.ingest.idempotency import IdempotencyKeys
from rtserver.store.ingest.schedule import Schedule
from rtserver.store.rooms.audience import Audience
from rtserver.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from rtserver.ingest.redis_stream import RedisStreamConsumer


class Ingest:
    """`intake` executes the requests of every source, HTTP included; `schedule` holds those that are due later."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        metrics: Metrics,
        *,
        instance: str,
        notifier: Notifier,
        poster: MessagePoster,
        emitter: EventEmitter,
    ) -> None:
        self.schedule = Schedule(database)
        self._keys = IdempotencyKeys(database)
        self._notifier = NotificationBatcher(notifier)
        self.intake = Intake(
            notifier=self._notifier,
            poster=poster,
            emitter=emitter,
            audience=Audience(database),
            keys=self._keys,
            schedule=self.schedule,
        )
        owner = f"{instance}:{secrets.token_hex(4)}"
        self._scheduler = Scheduler(self.schedule, self._execute, metrics, owner=owner, clean=self._keys.remove_expired)
        self.intake.on_scheduled = self._scheduler.nudge
        self._consumers = list(self._compose_consumers(settings, metrics, owner))

    async def run(self, _: Any) -> AsyncIterator[None]:
        """Started after the database and the cluster, stopped before them."""
        await self._keys.start()
        await self._notifier.start()
        await self._scheduler.start()
        for consumer in self._consumers:
            await consumer.start()
        yield
        await asyncio.gather(*(consumer.stop() for consumer in self._consumers))
        await self._scheduler.stop()
        await self._notifier.stop()
        await self._keys.stop()

    async def _execute(self, kind: str, body: Any, origin: str) -> None:
        await self.intake.execute(checked(kind, body), origin=origin)

    async def _submit(self, request: Request, origin: str | None) -> None:
        await self.intake.submit(request, origin=origin)

    def _compose_consumers(
        self, settings: Settings, metrics: Metrics, owner: str
    ) -> Iterator[RedisStreamConsumer | Consumer]:
        if settings.reads_inbox:
            from rtserver.app.redis_inbox import compose_inbox  # redis-py takes a good part of the start

            yield compose_inbox(settings, metrics, owner, self._submit)
        if settings.kafka_url is not None:
            address = parse_kafka_url(settings.kafka_url.get_secret_value())
            yield extra("kafka").KafkaConsumer(address, settings.kafka_topic, EntryProcessor(self._submit), metrics)
        if settings.rabbitmq_url is not None:
            url = settings.rabbitmq_url.get_secret_value()
            yield extra("rabbitmq").RabbitMQConsumer(
                url, settings.rabbitmq_queue, EntryProcessor(self._submit), metrics
            )


def extra(name: str) -> Any:
    """Return the module of a consumer whose packages are an optional extra; raises `ConfigError` without them."""
    try:
        return importlib.import_module(f"rtserver.ingest.{name}")
    except ModuleNotFoundError as error:
        url, packages = f"RTSERVER_{name.upper()}_URL", " ".join(f"'{package}'" for package in _packages(name))
        raise ConfigError(
            [f"{url} needs a package that is not installed ({error.name}), the extra {name!r}: pip install {packages}."]
        ) from None


def _packages(extra: str) -> list[str]:
    """Return the packages of an extra, with their versions. rtserver itself may not be on the index that pip asks."""
    lines = [line.partition(";") for line in requires("rtserver") or ()]
    return [package.strip() for package, _, marker in lines if f"extra == '{extra}'" in marker.replace('"', "'")]
