"""The part of the composition that joins this instance to the others: the way to Redis, the adapter, presence."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec import to_builtins

from rtserver.cluster.adapter import RedisAdapter
from rtserver.cluster.bus import RedisBus
from rtserver.cluster.legacy import LegacyInput
from rtserver.cluster.presence import MemoryPresence, Presence, RedisPresence
from rtserver.cluster.registry import Instance, LocalRegistry, RedisRegistry, Registry
from rtserver.metrics import Metrics
from rtserver.settings import Settings
from rtserver.sio.adapter import Adapter


class Cluster(NamedTuple):
    """`bus` is None for a server that is alone."""

    bus: RedisBus | None
    adapter: Adapter
    presence: Presence
    registry: Registry


def compose_cluster(
    settings: Settings, metrics: Metrics, instance: str, *, version: str, draining: Callable[[], bool]
) -> Cluster:
    describe = _describer(metrics, instance, version, draining)
    grace, lease = settings.presence_grace, settings.presence_lease
    if settings.redis_url is None:
        return Cluster(None, Adapter(), MemoryPresence(grace, instance=instance), LocalRegistry(describe))
    bus = RedisBus(settings.redis_url.get_secret_value(), metrics)
    adapter = RedisAdapter(
        bus,
        key=settings.redis_key,
        requests_timeout=settings.cluster_timeout,
        specific_response_channel=settings.redis_specific_responses,
    )
    LegacyInput(adapter).attach(bus.subscribe)
    presence = RedisPresence(
        bus, instance, grace=grace, lease=lease, heartbeat=lease / 4, describe=lambda: to_builtins(describe())
    )
    return Cluster(bus, adapter, presence, RedisRegistry(bus, describe))


def _describer(
    metrics: Metrics, instance: str, version: str, draining: Callable[[], bool]
) -> Callable[[], Instance]:
    """What the other servers may know of this one."""
    started = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
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
