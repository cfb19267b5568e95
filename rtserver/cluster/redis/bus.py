"""The way to Redis for everything in the cluster: publish, subscribe, ask.

Owns the connections, what is lost and counted when they break, and the one log line that an outage is worth.
Must not know what the messages mean.
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
from rtserver.cluster.redis.subscriber import Handler, Kind, Subscriber
from rtserver.cluster.redis.topology import ClusterMap
from rtserver.errors import Unavailable
from rtserver.protocol.adapter.signing import Seal

log = structlog.get_logger("rtserver.redis")

FLUSH = 1.0
MAX_MESSAGE = 16 * 1024 * 1024


class BusMetrics(Protocol):
    redis_up: bool | None
    redis_round_trip: float | None

    def dropped(self, reason: str) -> None: ...

    def rejected(self, code: str) -> None: ...

    def redis_refused(self, code: str) -> None: ...


class RedisBus:
    """One per server. `start` returns at once; whether Redis is there is told by `ready` and `on_change`.

    `seal` signs every message that is published, and nothing is delivered that it does not open.
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
    ) -> None:
        self.metrics = metrics
        address = parse_redis_url(url) if isinstance(url, str) else url
        self.address = address
        self._seal = seal
        self._address = address.shown
        self._cluster = ClusterMap(address) if address.kind == "cluster" else None
        self._heartbeat = heartbeat
        self._greeting = "HELLO"
        connect = connector(address)
        self._commands = CommandQueue(
            connect,
            on_drop=self._dropped,
            on_change=self._changed,
            on_refusal=ErrorReplyLog(metrics.redis_refused, self._address).note,
            timeout=timeout,
            max_bytes=max_bytes,
            max_commands=max_messages,
            max_age=max_age,
        )
        self._listener = Subscriber(
            connect,
            deliver=MessageDelivery(metrics.rejected, address.shown, max_message, seal),
            on_change=self._changed,
            ping_every=heartbeat,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._watchers: list[Callable[[bool], None]] = []
        self._was_ready = False
        self._down_since: float | None = None
        self._lost = 0
        self._ready = asyncio.Event()

    async def start(self) -> None:
        self.metrics.redis_up = False
        self._tasks = [
            asyncio.create_task(self._commands.run(), name="redis-commands"),
            asyncio.create_task(self._listener.run(), name="redis-listener"),
            asyncio.create_task(self._measure(), name="redis-heartbeat"),
        ]

    async def stop(self) -> None:
        """What is queued goes out first, if that takes no longer than `FLUSH` seconds."""
        if self._commands.connected:
            await self._commands.flush(FLUSH)
        self._watchers.clear()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        self._ready.clear()

    @property
    def ready(self) -> bool:
        """Connected both ways, and every subscription confirmed."""
        return self._commands.connected and self._listener.synced

    async def wait_ready(self, timeout: float) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._ready.wait()
        except TimeoutError:
            return False
        return True

    def on_change(self, watcher: Callable[[bool], None]) -> None:
        """`watcher(ready)` is called when Redis comes and when it goes."""
        self._watchers.append(watcher)

    def publish(self, channel: str, payload: bytes) -> None:
        """Never waits. What cannot be sent in time is dropped and counted."""
        sealed = payload if self._seal is None else self._seal.signed(channel, payload)
        self._commands.add("PUBLISH", channel, sealed)

    def spublish(self, channel: str, payload: bytes) -> None:
        sealed = payload if self._seal is None else self._seal.signed(channel, payload)
        self._commands.add("SPUBLISH", channel, sealed)

    def handle_within(self, turn: AbstractContextManager[None]) -> None:
        """Handle what comes at a time within `turn`; before `start`."""
        self._listener.turn = turn

    def subscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None:
        self._listener.subscribe(channel, handler, "P" if pattern else "")

    def unsubscribe(self, channel: str, handler: Handler, *, pattern: bool = False) -> None:
        self._listener.unsubscribe(channel, handler, "P" if pattern else "")

    def ssubscribe(self, channel: str, handler: Handler) -> None:
        self._listener.subscribe(channel, handler, "S")

    def sunsubscribe(self, channel: str, handler: Handler) -> None:
        self._listener.unsubscribe(channel, handler, "S")

    async def wait_subscribed(self, channel: str, timeout: float = 1.0, kind: Kind = "") -> bool:
        return await self._listener.wait_confirmed(channel, timeout, kind)

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        """The answer to a command, which goes behind what was published before; or `Unavailable`."""
        return self._commands.call(*args)

    async def ask(self, *args: Argument, timeout: float = 1.0) -> Any:
        try:
            async with asyncio.timeout(timeout):
                return await self.call(*args)
        except TimeoutError:
            raise Unavailable("Redis does not answer") from None

    async def ping(self, timeout: float = 1.0) -> float:
        """The round trip in seconds; raises `Unavailable`, also when only one of the two ways works."""
        if not self.ready:
            raise Unavailable("Redis is not available")
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self.ask("PING", timeout=timeout)
        return loop.time() - began

    async def subscribers(self, channel: str) -> int:
        """How many connections listen to `channel`; raises `Unavailable`."""
        if self._cluster is not None:
            return await self._subscribers_of(self._cluster, channel)
        answer = await self.ask("PUBSUB", "NUMSUB", channel)
        return int(answer[1])

    async def shard_subscribers(self, channel: str) -> int:
        """The same for a sharded channel, at this Redis."""
        answer = await self.ask("PUBSUB", "SHARDNUMSUB", channel)
        return int(answer[1])

    async def _subscribers_of(self, cluster: ClusterMap, channel: str) -> int:
        try:
            async with asyncio.timeout(1.0):
                return await cluster.subscribers(channel)
        except FAILURES as error:
            raise Unavailable("Redis is not available") from error

    async def _measure(self) -> None:
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
            if is_replica(greeting):  # it was a primary when we came
                self._commands.leave(Demoted())
                self._listener.leave()

    def _dropped(self, count: int) -> None:
        self._lost += count
        for _ in range(count):
            self.metrics.dropped("redis_publish")

    def _changed(self, error: BaseException | None) -> None:
        ready = self.ready
        self.metrics.redis_up = ready
        if ready and not self._was_ready:
            self._ready.set()
            self._tell_recovered()
        elif not ready and error is not None and self._down_since is None:
            self._ready.clear()
            self._down_since = asyncio.get_running_loop().time()
            log.warning("redis_unreachable", redis=self._address, error=str(error) or type(error).__name__)
        if ready is not self._was_ready:
            self._was_ready = ready
            for watcher in self._watchers:
                watcher(ready)

    def _tell_recovered(self) -> None:
        down = self._down_since
        seconds = None if down is None else round(asyncio.get_running_loop().time() - down, 1)
        log.info("redis_connected", redis=self._address, after=seconds, messages_lost=self._lost)
        self._down_since, self._lost = None, 0
