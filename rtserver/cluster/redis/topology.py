"""Redis topology: Sentinels report the current primary, the nodes of a Cluster report which of them owns a slot.

In a Cluster all commands go to one node, the owner of the slot of our keys: a PUBLISH reaches the subscribers of every
node, and all keys are in that slot. So one connection each for commands and subscriptions is enough, and keeps order.
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
from rtserver.cluster.redis.names import RedisNames

DISCOVERY_TIMEOUT = 0.5
"""Seconds for one Sentinel or node: short, so that the next one is asked before the attempt to connect times out."""
SLOT_KEY = RedisNames().presence
"""Any key with the hash tag that ours have, for the default prefix."""


def sentinel_pool(address: RedisAddress, **options: Any) -> SentinelConnectionPool:
    """Return a factory of connections to the primary that the Sentinels name; `options` are for the primary."""
    sentinel_options: dict[str, Any] = {**address.sentinel_login, **address.tls, "ssl": address.secure}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=sentinel_options | _discovery_options())  # type: ignore[no-untyped-call]
    options = {**options, **address.login, **address.tls, "db": address.db, "ssl": address.secure}
    return SentinelConnectionPool(address.service, sentinels, **options)  # type: ignore[no-untyped-call]


class ClusterMap:
    """Asks the nodes that the address names. Nothing is cached: questions are rare, and an old map would be wrong."""

    def __init__(self, address: RedisAddress, key: str = SLOT_KEY) -> None:
        self._hosts = address.hosts
        self._key = key
        self._options: dict[str, Any] = {**address.login, **address.tls, "ssl": address.secure}

    async def owner(self) -> tuple[str, int]:
        """Return host and port of the node that owns our key; raises RedisClusterException when no node answers."""
        async with self._connected() as cluster:
            node = cluster.nodes_manager.get_node_from_slot(cluster.keyslot(self._key))
            return str(node.host), int(node.port)

    async def subscribers(self, channel: str) -> int:
        """Return the number of connections subscribed to `channel` at all nodes; each node knows only its own."""
        async with self._connected() as cluster:
            replies = (node.execute_command("PUBSUB", "NUMSUB", channel) for node in cluster.get_nodes())
            return sum(int(answer[1]) for answer in await asyncio.gather(*replies))

    async def slots(self) -> dict[int, Host]:
        """Return the owner of each slot."""
        async with self._connected() as cluster:
            cache = cluster.nodes_manager.slots_cache
            return {slot: (str(nodes[0].host), int(nodes[0].port)) for slot, nodes in cache.items()}

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[RedisCluster]:
        nodes = [ClusterNode(host, port) for host, port in self._hosts]
        cluster = RedisCluster(
            startup_nodes=nodes, require_full_coverage=False, **self._options, **_discovery_options()
        )
        manager = cluster.nodes_manager
        try:
            await manager.initialize()
            yield cluster
        finally:
            await manager.aclose()
            await manager.aclose("startup_nodes")


class ClusterConnection(Connection):
    """A connection to the node that owns our slot at the time of connecting."""

    def __init__(self, *, cluster_map: ClusterMap, **options: Any) -> None:
        self._map = cluster_map
        super().__init__(**options)

    async def connect(self) -> None:
        if not self.is_connected:
            self.host, self.port = await self._map.owner()
        await super().connect()  # type: ignore[no-untyped-call]


class SecureClusterConnection(ClusterConnection, SSLConnection):
    pass


def _discovery_options() -> dict[str, Any]:
    return {
        "socket_timeout": DISCOVERY_TIMEOUT,
        "socket_connect_timeout": DISCOVERY_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "driver_info": None,
    }
