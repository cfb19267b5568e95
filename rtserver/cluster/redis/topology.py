"""Where Redis is when that has to be asked: Sentinels know the primary, the nodes of a Cluster know who owns a slot.

In a Cluster everything of ours goes to one node, the owner of the slot of our keys: a PUBLISH is heard at every node,
and the keys have one slot in common. So one connection each way is enough, and keeps the order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Connection, SSLConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
from redis.backoff import NoBackoff

from rtserver.cluster.redis.address import Host, RedisAddress

ASK_TIMEOUT = 0.5
"""Seconds for one Sentinel or node: the next one is asked well before the attempt to connect is over."""
SLOT_KEY = "{rtserver}"


def sentinel_pool(address: RedisAddress, **options: Any) -> SentinelConnectionPool:
    asking: dict[str, Any] = {**address.sentinel_login, **address.tls, "ssl": address.secure}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=asking | _impatient())  # type: ignore[no-untyped-call]
    options = {**options, **address.login, **address.tls, "db": address.db, "ssl": address.secure}
    return SentinelConnectionPool(address.service, sentinels, **options)  # type: ignore[no-untyped-call]


class ClusterMap:
    """Asks the nodes that the address names, each time anew: who is asked seldom has no use for what it once knew."""

    def __init__(self, address: RedisAddress, key: str = SLOT_KEY) -> None:
        self._hosts = address.hosts
        self._key = key
        self._options: dict[str, Any] = {**address.login, **address.tls, "ssl": address.secure}

    async def owner(self) -> tuple[str, int]:
        """The node that has our key; raises RedisClusterException when no node answers."""
        async with self._asking() as cluster:
            node = cluster.nodes_manager.get_node_from_slot(cluster.keyslot(self._key))
            return str(node.host), int(node.port)

    async def subscribers(self, channel: str) -> int:
        """How many connections listen to `channel` at all nodes; each of them knows only its own."""
        async with self._asking() as cluster:
            asked = (node.execute_command("PUBSUB", "NUMSUB", channel) for node in cluster.get_nodes())
            return sum(int(answer[1]) for answer in await asyncio.gather(*asked))

    async def slots(self) -> dict[int, Host]:
        """Which node owns which slot."""
        async with self._asking() as cluster:
            cache = cluster.nodes_manager.slots_cache
            return {slot: (str(nodes[0].host), int(nodes[0].port)) for slot, nodes in cache.items()}

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[RedisCluster]:
        nodes = [ClusterNode(host, port) for host, port in self._hosts]
        cluster = RedisCluster(startup_nodes=nodes, require_full_coverage=False, **self._options, **_impatient())
        manager = cluster.nodes_manager
        try:
            await manager.initialize()
            yield cluster
        finally:
            await manager.aclose()
            await manager.aclose("startup_nodes")


class ClusterConnection(Connection):
    """To the node that owns our slot at the time of connecting."""

    def __init__(self, *, cluster_map: ClusterMap, **options: Any) -> None:
        self._map = cluster_map
        super().__init__(**options)

    async def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = await self._map.owner()
        await super().connect()  # type: ignore[no-untyped-call]


class SecureClusterConnection(ClusterConnection, SSLConnection):
    pass


def _impatient() -> dict[str, Any]:
    return {
        "socket_timeout": ASK_TIMEOUT,
        "socket_connect_timeout": ASK_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
    }
