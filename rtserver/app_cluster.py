"""The part of the composition that joins this instance to the others: the way to Redis, the adapter, presence."""

from __future__ import annotations

from typing import NamedTuple

from rtserver.cluster.adapter import RedisAdapter
from rtserver.cluster.bus import RedisBus
from rtserver.cluster.legacy import LegacyInput
from rtserver.cluster.presence import MemoryPresence, Presence, RedisPresence
from rtserver.metrics import Metrics
from rtserver.settings import Settings
from rtserver.sio.adapter import Adapter


class Cluster(NamedTuple):
    """`bus` is None for a server that is alone."""

    bus: RedisBus | None
    adapter: Adapter
    presence: Presence


def compose_cluster(settings: Settings, metrics: Metrics, instance: str) -> Cluster:
    if settings.redis_url is None:
        return Cluster(None, Adapter(), MemoryPresence())
    bus = RedisBus(settings.redis_url.get_secret_value(), metrics)
    adapter = RedisAdapter(
        bus,
        key=settings.redis_key,
        requests_timeout=settings.cluster_timeout,
        specific_response_channel=settings.redis_specific_responses,
    )
    LegacyInput(adapter).attach(bus.subscribe)
    return Cluster(bus, adapter, RedisPresence(bus, instance))
