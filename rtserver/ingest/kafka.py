"""Kafka consumer: reads a topic with the entries of the durable inbox, each as one JSON record.

1. The servers share the partitions as one consumer group. An offset is committed when every record before it is saved,
   or is in the dead-letter topic; so after a crash a record is fetched again, never skipped.
2. A record without a key is identified by its position in the topic, and by its timestamp, since a topic may be
   deleted and created again.
3. Records of one partition keep their order where they share a room or a user.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from rtserver.ingest.broker_addresses import KafkaAddress
from rtserver.ingest.consumer import Consumer, ConsumerMetrics
from rtserver.ingest.entry_processor import Entry, EntryProcessor, loggable, read_json

BATCH = 64
WAIT_MS = 1000
GROUP = "rtserver"
_DEAD_LETTER_BYTES = 500_000
_DEAD_LETTER_KEY_BYTES = 10_000

# aiokafka logs every attempt to connect; `Consumer` logs an outage once.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


class KafkaConsumer(Consumer):
    """Reads from `topic`; records that can never be executed go to `topic.dead`."""

    failures = (OSError, KafkaError)

    def __init__(self, address: KafkaAddress, topic: str, processor: EntryProcessor, metrics: ConsumerMetrics) -> None:
        super().__init__("kafka", address.shown, metrics)
        self._options = _options(address)
        self._topic, self._processor = topic, processor

    async def _one_connection(self) -> None:
        consumer = AIOKafkaConsumer(
            self._topic, group_id=GROUP, enable_auto_commit=False, auto_offset_reset="earliest", **self._options
        )
        producer = AIOKafkaProducer(acks="all", **self._options)
        try:
            await producer.start()
            await consumer.start()
            self._connected()
            while not self._stopping.is_set():
                await self._process_batch(consumer, producer)
        finally:
            for one in (consumer, producer):
                with suppress(*self.failures):
                    await one.stop()

    async def _process_batch(self, consumer: Any, producer: Any) -> None:
        fetched: dict[TopicPartition, Sequence[ConsumerRecord[Any, Any]]]
        fetched = await consumer.getmany(timeout_ms=WAIT_MS, max_records=BATCH)
        records = [record for part in fetched.values() for record in part]
        if not records:
            return
        dead: list[tuple[ConsumerRecord[Any, Any], str | None]] = []
        await self._processor.process(map(self._entry, records), lambda record, reason: dead.append((record, reason)))
        for record, reason in dead:
            if reason is not None:
                await self._dead_letter(producer, record, reason)
            self._count(reason)
        await consumer.commit({part: of[-1].offset + 1 for part, of in fetched.items() if of})

    async def _dead_letter(self, producer: Any, record: ConsumerRecord[Any, Any], reason: str) -> None:
        self._refusals.note("kafka_record_dead", loggable(reason), {"topic": self._topic}, offset=record.offset)
        # Truncated to a size that every broker accepts: a record that it rejects would be fetched again without end.
        value, key = (record.value or b"")[:_DEAD_LETTER_BYTES], record.key and record.key[:_DEAD_LETTER_KEY_BYTES]
        position = f"{record.partition}:{record.offset}".encode()
        headers = [("reason", reason.encode("utf-8", "replace")), ("place", position)]
        async with asyncio.timeout(30):
            await producer.send_and_wait(f"{self._topic}.dead", value, key=key, headers=headers)

    def _entry(self, record: ConsumerRecord[Any, Any]) -> Entry:
        origin = f"kafka:{self._topic}:{record.partition}:{record.offset}:{record.timestamp}"
        return Entry(record, origin, lambda: read_json(record.value or b""))


async def check_connection(address: KafkaAddress) -> None:
    """Log in and out again; raises one of `KafkaConsumer.failures`."""
    producer = AIOKafkaProducer(**_options(address))
    try:
        await producer.start()
    finally:
        await producer.stop()


def _options(address: KafkaAddress) -> dict[str, Any]:
    protocol = ("SASL_" if address.user else "") + ("SSL" if address.secure else "PLAINTEXT")
    options: dict[str, Any] = {"bootstrap_servers": list(address.hosts), "security_protocol": protocol}
    if address.secure:
        options["ssl_context"] = ssl.create_default_context()
    if address.user:
        options |= {
            "sasl_mechanism": address.mechanism,
            "sasl_plain_username": address.user,
            "sasl_plain_password": address.password,
        }
    return options
