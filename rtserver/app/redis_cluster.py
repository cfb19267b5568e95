"""Composition of the cluster with Redis. Loaded where Redis is configured."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import to_builtins

from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.python_socketio import PythonSocketIOInput
from rtserver.cluster.adapter.sharded import ShardedAdapter, ShardedClusterAdapter
from rtserver.cluster.presence import Presence
from rtserver.cluster.presence.instances import Instance, InstanceRegistry
from rtserver.cluster.presence.redis_instances import RedisInstanceRegistry
from rtserver.cluster.presence.redis_presence import RedisPresence
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.names import RedisNames
from rtserver.cluster.redis.sharded_bus import ShardedRedisBus
from rtserver.config.settings import Settings
from rtserver.protocol.adapter.signing import Seal
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.telemetry.metrics import Metrics


def compose_redis(
    settings: Settings, url: str, metrics: Metrics, instance: str, describe: Callable[[], Instance]
) -> tuple[RedisBus, Adapter, Presence, InstanceRegistry, Sequence[RedisBus | ShardedRedisBus]]:
    """Make bus, adapter, presence, registry, and the list of all buses.

    `describe()` is what this instance reports to the others.
    """
    grace, lease = settings.presence_grace, settings.presence_lease
    seal = Seal([secret.get_secret_value() for secret in settings.cluster_secret]) if settings.cluster_secret else None
    key = RedisNames(settings.redis_key).presence
    bus = RedisBus(url, metrics, seal=seal, slot_key=key)
    adapter = _adapter(settings, bus, seal)
    PythonSocketIOInput(adapter).attach(bus.subscribe, settings.python_socketio_channel)
    presence = RedisPresence(
        bus, instance, grace=grace, lease=lease, heartbeat=lease / 4, key=key,
        describe=lambda: to_builtins(describe()),
    )  # fmt: skip
    buses: list[RedisBus | ShardedRedisBus] = [bus]
    if isinstance(adapter, ShardedClusterAdapter):
        buses.append(adapter.shards)
    return bus, adapter, presence, RedisInstanceRegistry(bus, describe, key), buses


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
