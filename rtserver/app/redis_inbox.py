"""Composition of the inbox, a Redis stream. Loaded where it is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from rtserver.cluster.redis.address import parse_redis_url
from rtserver.cluster.redis.connection import connector
from rtserver.cluster.redis.names import dead_letters
from rtserver.config.settings import Settings
from rtserver.ingest.commands import Request
from rtserver.ingest.entry_processor import Entry, EntryProcessor, Settle, read_fields
from rtserver.ingest.redis_stream import RedisStreamConsumer
from rtserver.ingest.redis_stream_commands import StreamEntry
from rtserver.telemetry.metrics import Metrics

Submit = Callable[[Request, str | None], Awaitable[None]]


def compose_inbox(settings: Settings, metrics: Metrics, consumer: str, submit: Submit) -> RedisStreamConsumer:
    """Make the consumer of the inbox; `submit` executes its requests."""
    assert settings.redis_url is not None  # noqa: S101  # for mypy; `reads_inbox` was asked
    stream = settings.inbox_stream
    address = parse_redis_url(settings.redis_url.get_secret_value())
    dead = dead_letters(stream, in_cluster=address.kind == "cluster")
    processor = EntryProcessor(submit, attempts=1, redelivered_by_broker=True)

    async def process(entries: Sequence[StreamEntry], settle: Settle) -> None:
        await processor.process([_entry(stream, entry) for entry in entries], settle)

    return RedisStreamConsumer(
        connector(address, "rtserver-inbox", key=stream), process, metrics,
        stream=stream, dead=dead, consumer=consumer, address=address.shown,
    )  # fmt: skip


def _entry(stream: str, entry: StreamEntry) -> Entry:
    return Entry(entry, f"{stream}:{entry.id}", partial(read_fields, entry.fields))
