"""Sharded bus: sharded channels on a Redis Cluster, where each channel lives on the node that owns its slot.

1. There is one `RedisBus` per node, with a queue, reconnects and outage log of its own.
2. The slot map is refreshed periodically, and soon after a node is lost. Subscriptions then follow their slots.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from redis.crc import key_slot

from rtserver.cluster.redis.address import Host, RedisAddress
from rtserver.cluster.redis.bus import BusMetrics, RedisBus
from rtserver.cluster.redis.connection import FAILURES
from rtserver.cluster.redis.subscriber import Handler, Kind
from rtserver.cluster.redis.topology import ClusterMap
from rtserver.errors import Unavailable
from rtserver.protocol.adapter.signing import Seal
from rtserver.tasks import cancelled

REFRESH_SECONDS = 30.0
DEGRADED_REFRESH_SECONDS = 0.5
"""Between two refreshes of the slot map: while every node is ready, and while one is not."""


class ShardedRedisBus:
    """Has the methods of `RedisBus` for sharded channels."""

    def __init__(self, address: RedisAddress, metrics: BusMetrics, *, seal: Seal | None = None) -> None:
        self.address = address
        self._metrics = metrics
        self._seal = seal
        self._map = ClusterMap(address)
        self._owners: Mapping[int, Host] = {}
        self._nodes: dict[Host, RedisBus] = {}
        self._subscriptions: dict[tuple[str, Handler], Host | None] = {}
        self._stale = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._watchers: list[Callable[[bool], None]] = []
        self._loss_watchers: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Begin to look for the nodes; returns at once."""
        self._task = asyncio.create_task(self._follow_topology(), name="redis-shards")

    async def stop(self) -> None:
        await cancelled(self._task)
        await asyncio.gather(*(bus.stop() for bus in self._nodes.values()))
        self._nodes.clear()

    @property
    def ready(self) -> bool:
        """Whether the nodes are known and all of them are ready."""
        return bool(self._nodes) and all(bus.ready for bus in self._nodes.values())

    def on_change(self, watcher: Callable[[bool], None]) -> None:
        """Call `watcher(ready)` when a node has become available or unavailable; `ready` is that of all nodes."""
        self._watchers.append(watcher)

    def on_loss(self, watcher: Callable[[], None]) -> None:
        """Call `watcher()` when messages were dropped."""
        self._loss_watchers.append(watcher)

    def spublish(self, channel: str, payload: bytes) -> None:
        """Publish at the owner of the channel; dropped and counted while that is unknown."""
        owner = self._owner(channel)
        if owner is None:
            self._metrics.dropped("redis_publish")
            for watcher in self._loss_watchers:
                watcher()
        else:
            self._nodes[owner].spublish(channel, payload)

    def ssubscribe(self, channel: str, handler: Handler) -> None:
        """Subscribe at the owner of the channel, now or as soon as that is known."""
        owner = self._subscriptions[channel, handler] = self._owner(channel)
        if owner is not None:
            self._nodes[owner].ssubscribe(channel, handler)

    def sunsubscribe(self, channel: str, handler: Handler) -> None:
        owner = self._subscriptions.pop((channel, handler), None)
        if owner is not None and owner in self._nodes:
            self._nodes[owner].sunsubscribe(channel, handler)

    async def wait_subscribed(self, channel: str, timeout: float = 1.0, kind: Kind = "S") -> bool:
        owner = self._owner(channel)
        return owner is not None and await self._nodes[owner].wait_subscribed(channel, timeout, kind)

    async def shard_subscribers(self, channel: str) -> int:
        """Return the number of connections that are subscribed to `channel`; raises `Unavailable`."""
        owner = self._owner(channel)
        if owner is None:
            raise Unavailable("Redis is not available")
        return await self._nodes[owner].shard_subscribers(channel)

    def _owner(self, channel: str) -> Host | None:
        return self._owners.get(key_slot(channel.encode()))

    async def _follow_topology(self) -> None:
        while True:
            self._stale.clear()
            await self._refresh()
            pause = REFRESH_SECONDS if self.ready else DEGRADED_REFRESH_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._stale.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(DEGRADED_REFRESH_SECONDS)

    async def _refresh(self) -> None:
        try:
            async with asyncio.timeout(2.0):
                owners = await self._map.slots()
        except FAILURES:
            return
        hosts = set(owners.values())
        for host in hosts - self._nodes.keys():
            self._nodes[host] = await self._new_node(host)
        self._owners = owners
        self._move_subscriptions()
        for host in self._nodes.keys() - hosts:
            await self._nodes.pop(host).stop()

    async def _new_node(self, host: Host) -> RedisBus:
        address = replace(self.address, kind="single", hosts=(host,))
        bus = RedisBus(address, _NodeMetrics(self._metrics), seal=self._seal)
        bus.on_change(self._on_change)
        for watcher in self._loss_watchers:
            bus.on_loss(watcher)
        await bus.start()
        return bus

    def _on_change(self, ready: bool) -> None:
        if not ready:
            self._stale.set()
        for watcher in self._watchers:
            watcher(self.ready)

    def _move_subscriptions(self) -> None:
        for (channel, handler), current in list(self._subscriptions.items()):
            owner = self._owner(channel)
            if owner == current:
                continue
            if current is not None and current in self._nodes:
                self._nodes[current].sunsubscribe(channel, handler)
            if owner is not None:
                self._nodes[owner].ssubscribe(channel, handler)
            self._subscriptions[channel, handler] = owner


class _NodeMetrics:
    """Counts into the metrics of the server, but reports no state: whether Redis is up is reported by its main bus."""

    redis_up: bool | None = None
    redis_round_trip: float | None = None

    def __init__(self, metrics: BusMetrics) -> None:
        self.dropped, self.rejected, self.redis_refused = metrics.dropped, metrics.rejected, metrics.redis_refused
