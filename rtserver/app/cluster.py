"""Composition of the cluster: Redis bus, Socket.IO adapter, presence, registry of instances."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from msgspec import to_builtins

from rtserver.clock import iso, now_ms
from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.python_socketio import PythonSocketIOInput
from rtserver.cluster.adapter.sharded import ShardedAdapter, ShardedClusterAdapter
from rtserver.cluster.presence import MemoryPresence, Presence, RedisPresence
from rtserver.cluster.presence.instances import Instance, InstanceRegistry, LocalInstanceRegistry, RedisInstanceRegistry
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.names import RedisNames
from rtserver.cluster.redis.sharded_bus import ShardedRedisBus
from rtserver.config.settings import Settings
from rtserver.protocol.adapter.signing import Seal
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.telemetry.metrics import Metrics


class Cluster(NamedTuple):
    """`bus` is None without Redis."""

    bus: RedisBus | None
    adapter: Adapter
    presence: Presence
    registry: InstanceRegistry


def compose_cluster(
    settings: Settings, metrics: Metrics, instance: str, *, version: str, draining: Callable[[], bool]
) -> Cluster:
    """Make the parts of the cluster. `draining()` tells whether this instance is about to stop."""
    describe = _describer(metrics, instance, version, draining)
    grace, lease = settings.presence_grace, settings.presence_lease
    if settings.redis_url is None:
        return Cluster(None, Adapter(), MemoryPresence(grace, instance=instance), LocalInstanceRegistry(describe))
    seal = Seal([secret.get_secret_value() for secret in settings.cluster_secret]) if settings.cluster_secret else None
    key = RedisNames(settings.redis_key).presence
    bus = RedisBus(settings.redis_url.get_secret_value(), metrics, seal=seal, slot_key=key)
    adapter = _adapter(settings, bus, seal)
    PythonSocketIOInput(adapter).attach(bus.subscribe, settings.python_socketio_channel)
    presence = RedisPresence(
        bus, instance, grace=grace, lease=lease, heartbeat=lease / 4, key=key,
        describe=lambda: to_builtins(describe()),
    )  # fmt: skip
    return Cluster(bus, adapter, presence, RedisInstanceRegistry(bus, describe, key))


def _adapter(settings: Settings, bus: RedisBus, seal: Seal | None) -> Adapter:
    key, timeout = settings.redis_key, settings.cluster_timeout
    if settings.redis_adapter == "sharded":
        if bus.address.kind != "cluster":
            return ShardedAdapter(bus, key=key, requests_timeout=timeout)
        return ShardedClusterAdapter(
            ShardedRedisBus(bus.address, bus.metrics, seal=seal), key=key, requests_timeout=timeout
        )
    specific = settings.redis_specific_responses
    return RedisAdapter(bus, key=key, requests_timeout=timeout, specific_response_channel=specific)


def _describer(metrics: Metrics, instance: str, version: str, draining: Callable[[], bool]) -> Callable[[], Instance]:
    """Return a function that describes this instance to the others."""
    started = iso(now_ms())
    host, pid = socket.gethostname(), os.getpid()

    def describe() -> Instance:
        return Instance(
            id=instance,
            version=version,
            started=started,
            host=host,
            pid=pid,
            draining=draining(),
            connections=dict(metrics.connections),
        )

    return describe
