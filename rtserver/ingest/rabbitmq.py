"""RabbitMQ consumer: reads a queue with the entries of the durable inbox, each as one JSON message.

1. A message is acknowledged when its request is saved, or when the broker has it in the dead-letter queue. Until then
   RabbitMQ keeps it, and delivers it again when this server is gone.
2. `message_id` is the key of a message that has none. Without either, a message that is delivered again is executed
   again.
3. At most `PREFETCH` messages are unacknowledged at a time.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from rtserver.ingest.broker_addresses import shown_amqp
from rtserver.ingest.consumer import Consumer, ConsumerMetrics
from rtserver.ingest.entry_processor import Entry, EntryProcessor, loggable, read_json

PREFETCH = 64
TIMEOUT = 10.0
"""Seconds for a call of the broker."""

# aiormq logs every attempt to connect; `Consumer` logs an outage once.
logging.getLogger("aiormq.connection").setLevel(logging.CRITICAL)


class RabbitMQConsumer(Consumer):
    """Reads from `queue`; messages that can never be executed go to `queue.dead`. Both are created if missing."""

    failures = (OSError, AMQPError, RuntimeError)

    def __init__(self, url: str, queue: str, processor: EntryProcessor, metrics: ConsumerMetrics) -> None:
        super().__init__("rabbitmq", shown_amqp(url), metrics)
        self._url, self._queue, self._processor = url, queue, processor

    async def _one_connection(self) -> None:
        connection = await aio_pika.connect(self._url, timeout=TIMEOUT)
        try:
            await _channel_with_queue(connection, f"{self._queue}.dead")
            channel = await _channel_with_queue(connection, self._queue)
            await channel.set_qos(prefetch_count=PREFETCH)
            arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
            queue = await channel.get_queue(self._queue, ensure=False)
            await queue.consume(arrived.put)
            self._connected()
            await self._serve(channel, arrived)
        finally:
            with suppress(*self.failures, asyncio.CancelledError):
                await connection.close()

    async def _serve(self, channel: AbstractChannel, arrived: asyncio.Queue[AbstractIncomingMessage]) -> None:
        ended = asyncio.ensure_future(channel.closed())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            while not stopping.done():
                getting = asyncio.ensure_future(arrived.get())
                await asyncio.wait({getting, ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    if ended.done():
                        raise ConnectionError("closed by RabbitMQ")
                    return
                batch = [getting.result()]
                while not arrived.empty():
                    batch.append(arrived.get_nowait())
                await self._process_batch(channel, batch, ended)
        finally:
            ended.cancel()
            stopping.cancel()

    async def _process_batch(
        self, channel: AbstractChannel, batch: list[AbstractIncomingMessage], ended: asyncio.Future[Any]
    ) -> None:
        settling: list[asyncio.Task[None]] = []

        def settle(message: AbstractIncomingMessage, reason: str | None) -> None:
            settling.append(asyncio.create_task(self._settle(channel, message, reason)))

        processing = asyncio.ensure_future(self._processor.process(map(self._entry, batch), settle))
        try:
            await asyncio.wait({processing, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not processing.done():  # the broker delivers the rest to another server
                raise ConnectionError("closed by RabbitMQ")
            processing.result()
            await asyncio.gather(*settling)
        finally:
            processing.cancel()

    async def _settle(self, channel: AbstractChannel, message: AbstractIncomingMessage, reason: str | None) -> None:
        if reason is not None:
            self._refusals.note("rabbitmq_message_dead", loggable(reason), {"queue": self._queue})
            dead = aio_pika.Message(
                message.body, headers={"reason": reason}, message_id=message.message_id,
                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            )  # fmt: skip
            await channel.default_exchange.publish(dead, f"{self._queue}.dead", mandatory=True, timeout=TIMEOUT)
        await message.ack()
        self._count(reason)

    def _entry(self, message: AbstractIncomingMessage) -> Entry:
        message_id = message.message_id
        origin = f"rabbitmq:{self._queue}:{message_id}"[:400] if message_id else None
        return Entry(message, origin, lambda: read_json(message.body))


async def check_connection(url: str) -> None:
    """Log in and out again; raises one of `RabbitMQConsumer.failures`."""
    await (await aio_pika.connect(url, timeout=TIMEOUT)).close()


async def _channel_with_queue(connection: AbstractConnection, name: str) -> AbstractChannel:
    """Return a channel; the queue exists, with whatever arguments it was created."""
    channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
    try:
        await channel.declare_queue(name, passive=True)
    except ChannelNotFoundEntity:
        channel = await connection.channel(publisher_confirms=True, on_return_raises=True)
        await channel.declare_queue(name, durable=True)
    return channel
