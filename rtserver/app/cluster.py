"""Composition of the cluster: Redis bus, Socket.IO adapter, presence, registry of instances.

Without Redis, `rtserver.app.redis_cluster` and redis-py, which it needs, are not loaded.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from rtserver.clock import iso, now_ms
from rtserver.cluster.presence import MemoryPresence, Presence
from rtserver.cluster.presence.instances import Instance, InstanceRegistry, LocalInstanceRegistry
from rtserver.config.settings import Settings
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from rtserver.cluster.redis.bus import RedisBus
    from rtserver.cluster.redis.sharded_bus import ShardedRedisBus


class Cluster(NamedTuple):
    """`bus` is None without Redis. `buses`: all that carry broadcasts."""

    bus: RedisBus | None
    adapter: Adapter
    presence: Presence
    registry: InstanceRegistry
    buses: Sequence[RedisBus | ShardedRedisBus] = ()


def compose_cluster(
    settings: Settings, metrics: Metrics, instance: str, *, version: str, draining: Callable[[], bool]
) -> Cluster:
    """Make the parts of the cluster. `draining()` tells whether this instance is about to stop."""
    describe = _describer(metrics, instance, version, draining)
    if settings.redis_url is None:
        presence = MemoryPresence(settings.presence_grace, instance=instance)
        return Cluster(None, Adapter(), presence, LocalInstanceRegistry(describe))
    from rtserver.app.redis_cluster import compose_redis

    return Cluster(*compose_redis(settings, settings.redis_url.get_secret_value(), metrics, instance, describe))


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
