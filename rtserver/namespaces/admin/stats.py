"""Statistics for the dashboard: rates of this instance from its counters, and totals over the cluster.

Pure: the caller passes the time. Knows nothing of how instances exchange their statistics.

In an `InstanceStats`, p50, p99, loopLag and redisRoundTrip are in milliseconds, memory is in bytes, eventsIn
and eventsOut are per second, slowClients and rejections count from the start of the instance, and so do p50 and p99.
recentP50 and recentP99 are of the last `RECENT_SECONDS`; None without events in them, or from an older server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, ValidationError, convert, to_builtins

from rtserver.telemetry.metrics import bucket_quantile

FRESH_SECONDS = 3.0
"""Statistics of an instance older than this are dropped."""
MAX_INSTANCES = 1000
RECENT_SECONDS = 10.0


class InstanceStats(Struct, frozen=True, kw_only=True, rename="camel"):
    """The statistics of one instance; units in the docstring of the module."""

    instance: str
    connections: dict[str, int]
    events_in: float
    events_out: float
    p50: float
    p99: float
    loop_lag: float
    memory: int
    redis_round_trip: float | None
    slow_clients: int
    rejections: int
    recent_p50: float | None = None
    recent_p99: float | None = None


class Sampler:
    """Turns each snapshot of the metrics into an `InstanceStats`, with the rates since the previous one."""

    def __init__(self, instance: str) -> None:
        self._instance = instance
        self._before: tuple[float, Mapping[str, Any]] | None = None
        self._counts: deque[tuple[float, Sequence[int]]] = deque()

    def sample(self, snapshot: Mapping[str, Any], memory: int, now: float) -> InstanceStats:
        """`snapshot`: of `Metrics.snapshot`; `memory`: bytes; `now`: seconds of a monotonic clock."""
        since, before = self._before or (now, snapshot)
        self._before = (now, snapshot)
        seconds = max(now - since, 0.001)
        round_trip = snapshot["redisRoundTrip"]
        recent = self._recent(snapshot["handlerCounts"], now)
        return InstanceStats(
            instance=self._instance,
            connections=dict(snapshot["connections"]),
            events_in=_rate(snapshot, before, "eventsIn", seconds),
            events_out=_rate(snapshot, before, "eventsOut", seconds),
            p50=_milliseconds(snapshot["handlerP50"]),
            p99=_milliseconds(snapshot["handlerP99"]),
            loop_lag=_milliseconds(snapshot["loopLag"]),
            memory=memory,
            redis_round_trip=None if round_trip is None else _milliseconds(round_trip),
            slow_clients=snapshot["slowClients"],
            rejections=snapshot["rejections"],
            recent_p50=_quantile(recent, 0.5),
            recent_p99=_quantile(recent, 0.99),
        )

    def _recent(self, counts: Sequence[int], now: float) -> list[int]:
        """Events of the last `RECENT_SECONDS` in each bucket, or of the shorter time since the first sample."""
        self._counts.append((now, counts))
        while len(self._counts) > 1 and self._counts[1][0] <= now - RECENT_SECONDS:
            self._counts.popleft()
        return [after - before for before, after in zip(self._counts[0][1], counts, strict=True)]


class ClusterStats:
    """The latest statistics of each other instance, dropped after `FRESH_SECONDS`."""

    def __init__(self) -> None:
        self._latest: dict[str, tuple[float, InstanceStats]] = {}

    def on_stats(self, payload: Any, now: float) -> bool:
        """Keep the statistics of another instance; False for an invalid payload, as any server may emit the event."""
        try:
            stats = convert(payload, InstanceStats)
        except ValidationError:
            return False
        if len(self._latest) >= MAX_INSTANCES and stats.instance not in self._latest:
            return False
        self._latest[stats.instance] = (now, stats)
        return True

    def report(self, own: InstanceStats, now: float) -> dict[str, Any]:
        """The payload of `stats`."""
        self._latest = {
            instance: word
            for instance, word in self._latest.items()
            if now - word[0] <= FRESH_SECONDS and instance != own.instance
        }
        instances = [own, *(stats for _, stats in self._latest.values())]
        instances.sort(key=lambda stats: stats.instance)
        return {"instances": to_builtins(instances), "total": total(instances)}


def total(instances: Iterable[InstanceStats]) -> dict[str, Any]:
    """Totals over instances: counts are summed, of times the worst is taken."""
    instances = list(instances)
    connections: dict[str, int] = {}
    for stats in instances:
        for namespace, count in stats.connections.items():
            connections[namespace] = connections.get(namespace, 0) + count
    return {
        "connections": connections,
        "eventsIn": round(sum(stats.events_in for stats in instances), 1),
        "eventsOut": round(sum(stats.events_out for stats in instances), 1),
        "p50": max((stats.p50 for stats in instances), default=0.0),
        "p99": max((stats.p99 for stats in instances), default=0.0),
        "recentP50": _worst(stats.recent_p50 for stats in instances),
        "recentP99": _worst(stats.recent_p99 for stats in instances),
        "loopLag": max((stats.loop_lag for stats in instances), default=0.0),
        "memory": sum(stats.memory for stats in instances),
        "redisRoundTrip": _worst(stats.redis_round_trip for stats in instances),
        "slowClients": sum(stats.slow_clients for stats in instances),
        "rejections": sum(stats.rejections for stats in instances),
    }


def _worst(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _quantile(counts: Sequence[int], q: float) -> float | None:
    return _milliseconds(bucket_quantile(counts, q)) if any(counts) else None


def _rate(snapshot: Mapping[str, Any], before: Mapping[str, Any], counter: str, seconds: float) -> float:
    gained: int = snapshot[counter] - before[counter]
    return round(max(gained, 0) / seconds, 1)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
