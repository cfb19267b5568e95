"""Redis bus: publish, subscribe and call, for everything in the cluster.

Owns the two connections (commands and subscriptions), the counting of lost messages, and the one log line per outage.
Does not know what the messages mean.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

import structlog
from redis.exceptions import ResponseError

from rtserver.cluster.redis.address import RedisAddress, parse_redis_url
from rtserver.cluster.redis.command_queue import CommandQueue
from rtserver.cluster.redis.connection import FAILURES, Demoted, connector, is_replica
from rtserver.cluster.redis.delivery import MessageDelivery
from rtserver.cluster.redis.error_replies import ErrorReplyLog
from rtserver.cluster.redis.inflight import Argument
from rtserver.cluster.redis.peers import Channel, Peers
from rtserver.cluster.redis.rights import refusal_of
from rtserver.cluster.redis.subscriber import Handler, Kind, Subscriber
from rtserver.cluster.redis.topology import SLOT_KEY, ClusterMap
from rtserver.errors import Unavailable
from rtserver.protocol.adapter.signing import Seal
from rtserver.reconnect import Outage
from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.redis")

FLUSH = 1.0
"""Seconds that `stop` waits for queued commands."""
MAX_MESSAGE = 16 * 1024 * 1024
"""Bytes; a larger message is rejected."""


class BusMetrics(Protocol):
    redis_up: bool | None
    redis_round_trip: float | None

    def dropped(self, reason: str) -> None: ...

    def rejected(self, code: str) -> None: ...

    def redis_refused(self, code: str) -> None: ...


class RedisBus:
    """One per server. `start` does not wait for Redis; `ready` and `on_change` report whether it is reachable.

    `timeout`, `max_age` and `heartbeat` are in seconds; the bounds of the queue are those of `CommandQueue`. With
    `seal`, every published message is signed, and only messages that it verifies are delivered. In a Redis Cluster the
    connections go to the node that owns `slot_key`.
    """

    def __init__(
        self,
        url: str | RedisAddress,
        metrics: BusMetrics,
        *,
        timeout: float = 1.0,
        max_bytes: int = 8 * 1024 * 1024,
        max_messages: int = 10_000,
        max_age: float = 5.0,
        max_message: int = MAX_MESSAGE,
        heartbeat: float = 1.5,
        seal: Seal | None = None,
        slot_key: str = SLOT_KEY,
    ) -> None:
        self.metrics = metrics
        address = parse_redis_url(url) if isinstance(url, str) else url
        self.address = address
        self._seal = seal
        self._address = address.shown
        self._cluster = ClusterMap(address) if address.kind == "cluster" else None
        self._heartbeat = heartbeat
        self._greeting = "HELLO"
        connect = connector(address, key=slot_key)
        self._error_replies = ErrorReplyLog(metrics.redis_refused, self._address)
        self._commands = CommandQueue(
            connect,
            on_drop=self._on_drop,
            on_change=self._on_connection_change,
            on_error_reply=self._error_replies.note,
            timeout=timeout,
            max_bytes=max_bytes,
            max_commands=max_messages,
            max_age=max_age,
            peers_heard=lambda: self._peers.heard(),
            on_unheard=self._on_unheard,
        )
        self._subscriber = Subscriber(
            connect,
            deliver=MessageDelivery(metrics.rejected, address.shown, max_message, seal),
            on_change=self._on_connection_change,
            ping_every=heartbeat,
        )
        self._peers = Peers(self._subscriber.common_channel, self._count_listeners)
        self._loss_watchers: list[Callable[[], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._watchers: list[Callable[[bool], None]] = []
        self._was_ready = False
        self._outage, self._refusal = Outage(), Outage()
        self._lost = 0
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Begin to connect; returns at once."""
        self.metrics.redis_up = False
        self._tasks = [
            asyncio.create_task(self._commands.run(), name="redis-commands"),
            asyncio.create_task(self._subscriber.run(), name="redis-listener"),
            asyncio.create_task(self._measure(), name="redis-heartbeat"),
        ]

    async def stop(self) -> None:
        """Send what is queued, within `FLUSH` seconds, then disconnect."""
        if self._commands.connected:
            await self._commands.flush(FLUSH)
        self._watchers.clear()
        await cancelled(*self._tasks)
        self._tasks = []
        self._ready.clear()

    @property
    def ready(self) -> bool:
        """Whether both connections work and every subscription is confirmed."""
        return self._commands.connected and self._subscriber.synced

    async def wait_ready(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for `ready`; return whether it came."""
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    def on_change(self, watcher: Callable[[bool], None]) -> None:
        """Call `watcher(ready)` whenever `ready` changes."""
        self._watchers.append(watcher)

    def on_loss(self, watcher: Callable[[], None]) -> None:
        """Call `watcher()` when messages were dropped, or published while a known server was not subscribed."""
        self._loss_watchers.append(watcher)

    def publish(self, channel: str, payload: bytes) -> None:
        """Queue a message and return at once. What cannot be sent in time is dropped and counted."""
        signed = payload if self._seal is None else self._seal.sign(channel, payload)
        self._commands.add("PUBLISH", channel, signed)

    def spublish(self, channel: str, payload: bytes) -> None:
        """The same on a sharded channel."""
        signed = payload if self._seal is None else self._seal.sign(channel, payload)
        self._commands.add("SPUBLISH", channel, signed)

    def handle_within(self, cork: AbstractContextManager[None]) -> None:
        """Handle messages that are read together within `cork`, which corks writes; call before `start`."""
        self._subscriber.cork = cork

    def subscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None:
        """Call `handler(channel, payload)` for each message; with `pattern`, `channel` is a glob of Redis."""
        self._subscriber.subscribe(channel, handler, "P" if pattern else "")

    def unsubscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None:
        self._subscriber.unsubscribe(channel, handler, "P" if pattern else "")

    def ssubscribe(self, channel: str, handler: Handler) -> None:
        self._subscriber.subscribe(channel, handler, "S")

    def sunsubscribe(self, channel: str, handler: Handler) -> None:
        self._subscriber.unsubscribe(channel, handler, "S")

    async def wait_subscribed(self, channel: str, timeout: float = 1.0, kind: Kind = "") -> bool:
        """Wait up to `timeout` seconds for Redis to confirm the subscription; return whether it did."""
        return await self._subscriber.wait_confirmed(channel, timeout, kind)

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        """Send a command behind what was published before; the future has the reply, or raises `Unavailable`."""
        return self._commands.call(*args)

    async def ask(self, *args: Argument, timeout: float = 1.0) -> Any:
        """Send a command and return its reply; raises `Unavailable`, also after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await self.call(*args)
        except TimeoutError:
            raise Unavailable("Redis does not answer") from None

    async def ping(self, timeout: float = 1.0) -> float:
        """Return the round trip in seconds; raises `Unavailable`, also when only one of the two connections works."""
        if not self.ready:
            raise Unavailable("Redis is not available")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.ask("PING", timeout=timeout)
        return loop.time() - began

    async def subscribers(self, channel: str) -> int:
        """Return the number of connections that are subscribed to `channel`; raises `Unavailable`."""
        if self._cluster is not None:
            return await self._subscribers_of(self._cluster, channel)
        return _second_number(await self.ask("PUBSUB", "NUMSUB", channel))

    async def shard_subscribers(self, channel: str) -> int:
        """The same for a sharded channel, at this node."""
        return _second_number(await self.ask("PUBSUB", "SHARDNUMSUB", channel))

    async def _subscribers_of(self, cluster: ClusterMap, channel: str) -> int:
        try:
            async with asyncio.timeout(1.0):
                return await cluster.subscribers(channel)
        except FAILURES as error:
            if isinstance(error, ResponseError):
                self._error_replies.note(error, "PUBSUB")
            raise Unavailable("Redis is not available") from error

    async def _measure(self) -> None:
        """Measure the round trip at each heartbeat, and leave a Redis that has become a replica."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._heartbeat)
            began = loop.time()
            try:
                greeting = await self.ask(self._greeting)
            except Unavailable as error:
                if isinstance(error.__cause__, ResponseError):  # older than Redis 6
                    self._greeting = "PING"
                self.metrics.redis_round_trip = None
                continue
            self.metrics.redis_round_trip = loop.time() - began
            if self.ready:
                await self._peers.measure()
            if is_replica(greeting):  # it was a primary when we connected
                self._commands.drop_connection(Demoted())
                self._subscriber.drop_connection()

    async def _count_listeners(self, channel: Channel) -> int:
        kind, name = channel
        return _second_number(await self.ask("PUBSUB", "SHARDNUMSUB" if kind else "NUMSUB", name))

    def _on_drop(self, count: int) -> None:
        self._count_lost(count, "redis_publish")

    def _on_unheard(self, count: int) -> None:
        self._count_lost(count, "redis_unheard")

    def _count_lost(self, count: int, reason: str) -> None:
        self._lost += count
        for _ in range(count):
            self.metrics.dropped(reason)
        for watcher in self._loss_watchers:
            watcher()

    def _on_connection_change(self, error: BaseException | None) -> None:
        ready = self.ready
        self.metrics.redis_up = ready
        if ready and not self._was_ready:
            self._ready.set()
            self._log_recovery()
        elif not ready and error is not None:
            self._ready.clear()
            self._log_failure(error)
        if ready is not self._was_ready:
            self._was_ready = ready
            for watcher in self._watchers:
                watcher(ready)

    def _log_failure(self, error: BaseException) -> None:
        """Log an outage when it begins. A Redis that refuses what we need is not unreachable: say what is missing."""
        if isinstance(error, ResponseError) and refusal_of(error) is not None:
            self._refusal.begin()
            self._error_replies.note(error)
        elif self._outage.begin():
            log.warning("redis_unreachable", redis=self._address, error=str(error) or type(error).__name__)

    def _log_recovery(self) -> None:
        refused, down = self._refusal.end(), self._outage.end()
        down = refused if down is None else down
        seconds = None if down is None else round(down, 1)
        log.info("redis_connected", redis=self._address, after=seconds, messages_lost=self._lost)
        self._lost = 0


def _second_number(answer: Any) -> int:
    """Return the number in the reply to NUMSUB: channel, number. Raises `Unavailable` for any other reply: a proxy may
    know the command and answer something else."""
    match answer:
        case [_, int() as count] if count >= 0:
            return count
    raise Unavailable("Redis does not tell the number of servers")
