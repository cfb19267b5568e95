"""Metrics: plain counters of one application, converted to Prometheus' format at each scrape.

1. Counting is one addition: no library object is touched for a message.
2. Labels are bounded: namespaces are those that the server knows; reasons and codes are words of the program, never of
   a client.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

HANDLER_BUCKETS = (
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
_FIRST = HANDLER_BUCKETS[0]


class InboxState(NamedTuple):
    """The durable inbox as Redis reports it, the same on all servers: entries, and the age of the oldest."""

    waiting: int
    pending: int
    oldest_seconds: float


class Metrics:
    """The counters. Methods count one occurrence unless they say otherwise."""

    def __init__(self) -> None:
        self.connections: Counter[str] = Counter()
        self._handled: Counter[str] = Counter()
        self._failed: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.handoffs: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.redis_errors: Counter[str] = Counter()
        self.webhooks: Counter[str] = Counter()
        self.webhooks_state: tuple[int, float, int] | None = None
        self.slow_clients = 0
        self.reads_paused = 0
        self.loop_lag = 0.0
        self.redis_up: bool | None = None
        self.redis_round_trip: float | None = None
        self.doors: Counter[tuple[str, str]] = Counter()
        self.inbox: InboxState | None = None
        self.scheduled_late: float | None = None
        self.scheduled_failed: int | None = None
        self._handler_counts = [0] * (len(HANDLER_BUCKETS) + 1)
        self._handler_seconds = 0.0
        self._registry = CollectorRegistry()
        self._registry.register(_Exposition(self))

    def namespace_connected(self, namespace: str) -> None:
        """A client has joined the namespace."""
        self.connections[namespace] += 1

    def namespace_disconnected(self, namespace: str) -> None:
        """A client has left the namespace."""
        self.connections[namespace] -= 1
        if self.connections[namespace] <= 0:
            del self.connections[namespace]

    def event_in(self, namespace: str, seconds: float, code: str | None = None) -> None:
        """An event was handled in `seconds`; `code` is that of the error in its ack, if any."""
        if code is None:
            self._handled[namespace] += 1
        else:
            self._failed[namespace, code] += 1
        self._handler_counts[0 if seconds <= _FIRST else bisect_left(HANDLER_BUCKETS, seconds)] += 1
        self._handler_seconds += seconds

    @property
    def received(self) -> Counter[tuple[str, str]]:
        """Events handled, by namespace and code; "ok" where there was no error."""
        return self._failed + Counter({(namespace, "ok"): count for namespace, count in self._handled.items()})

    def events_out(self, namespace: str, count: int) -> None:
        """`count` events were sent to clients of the namespace."""
        self.sent[namespace] += count

    def refused(self, reason: str) -> None:
        """A CONNECT was answered with CONNECT_ERROR."""
        self.refusals[reason] += 1

    def rejected(self, code: str) -> None:
        """Input from outside broke a rule: a packet, a cluster message, a request."""
        self.rejections[code] += 1

    def ended(self, reason: str) -> None:
        """A connection was closed because its time limit was reached."""
        self.ends[reason] += 1

    def redis_refused(self, code: str) -> None:
        """Redis answered a command with an error."""
        self.redis_errors[code] += 1

    def count_ingested(self, source: str, outcome: str) -> None:
        """What a backend left in the inbox, a queue or the schedule is "done", "retried", or has "failed"."""
        self.doors[source, outcome] += 1

    def webhook(self, outcome: str) -> None:
        """A webhook was "delivered", "failed" for now, was "parked" for good, or was needless: "online", "read"."""
        self.webhooks[outcome] += 1

    def dropped(self, reason: str) -> None:
        """A message was dropped."""
        self.drops[reason] += 1

    def handoff(self, outcome: str) -> None:
        """A request for another worker's session was "sent", has "failed", or was rejected as too many were under way
        ("busy").
        """
        self.handoffs[outcome] += 1

    def handler_quantile(self, q: float) -> float:
        """Return quantile `q` of the handler times since the start, in seconds."""
        return bucket_quantile(self._handler_counts, q)

    def snapshot(self) -> dict[str, Any]:
        """Return totals since the start, for the admin dashboard. Times are in seconds."""
        return {
            "connections": dict(self.connections),
            "eventsIn": self.received.total(),
            "eventsOut": self.sent.total(),
            "refusals": self.refusals.total(),
            "rejections": self.rejections.total(),
            "slowClients": self.slow_clients,
            "dropped": self.drops.total(),
            "handlerP50": self.handler_quantile(0.5),
            "handlerP99": self.handler_quantile(0.99),
            "handlerCounts": tuple(self._handler_counts),
            "loopLag": self.loop_lag,
            "redisRoundTrip": self.redis_round_trip,
        }

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        from prometheus_client import generate_latest  # loads an HTTP server and a client; not every server is scraped

        return generate_latest(self._registry)

    def handler_histogram(self) -> HistogramMetricFamily:
        """Return the histogram of handler times, in seconds."""
        buckets, seen = [], 0
        for bound, count in zip((*map(str, HANDLER_BUCKETS), "+Inf"), self._handler_counts, strict=True):
            seen += count
            buckets.append((bound, float(seen)))
        return HistogramMetricFamily(
            "rtserver_handler_seconds", "Time to handle an event", buckets=buckets, sum_value=self._handler_seconds
        )


def bucket_quantile(counts: Sequence[int], q: float) -> float:
    """Return quantile `q` of times counted in `HANDLER_BUCKETS`, linear within each as in Prometheus; 0 for none."""
    wanted = q * sum(counts)
    seen, lower = 0, 0.0
    for bound, count in zip(HANDLER_BUCKETS, counts, strict=False):
        if count and seen + count >= wanted:
            return lower + (bound - lower) * (wanted - seen) / count
        seen, lower = seen + count, bound
    return lower if wanted else 0.0


class _Exposition:
    """Converts the counters to metric families at each scrape."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        m = self._metrics
        yield _gauge("rtserver_connections", "Clients connected, by namespace", "namespace", m.connections)
        received = CounterMetricFamily(
            "rtserver_events_received", "Events handled, by namespace and outcome", labels=["namespace", "code"]
        )
        for (namespace, code), value in m.received.items():
            received.add_metric([namespace, code], value)
        yield received
        yield _counter("rtserver_events_sent", "Events sent to clients, by namespace", "namespace", m.sent)
        yield _counter("rtserver_refusals", "Connections refused, by reason", "reason", m.refusals)
        yield _counter("rtserver_rejections", "Input that broke a rule, by code", "code", m.rejections)
        yield _counter("rtserver_dropped", "Messages dropped, by reason", "reason", m.drops)
        yield _counter("rtserver_handovers", "Requests for other workers, by outcome", "outcome", m.handoffs)
        yield m.handler_histogram()
        yield CounterMetricFamily("rtserver_slow_clients", "Clients closed as too slow", value=m.slow_clients)
        yield CounterMetricFamily(
            "rtserver_reads_paused", "Pauses in reading from a client whose handlers were behind",
            value=m.reads_paused,
        )  # fmt: skip
        yield _counter("rtserver_connections_ended", "Connections closed at their time limit", "reason", m.ends)
        yield GaugeMetricFamily("rtserver_loop_lag_seconds", "How late the event loop runs", value=m.loop_lag)
        yield _counter("rtserver_redis_errors", "Commands that Redis refused, by error code", "code", m.redis_errors)
        doors = CounterMetricFamily(
            "rtserver_door_entries", "Entries of backends, by source and outcome", labels=["door", "outcome"]
        )
        for (door, outcome), value in m.doors.items():
            doors.add_metric([door, outcome], value)
        yield doors
        yield from _queues(m)
        if m.redis_up is not None:
            yield GaugeMetricFamily("rtserver_redis_up", "Whether Redis answers", value=float(m.redis_up))
        if m.redis_round_trip is not None:
            yield GaugeMetricFamily(
                "rtserver_redis_round_trip_seconds", "Last Redis round trip", value=m.redis_round_trip
            )


def _queues(m: Metrics) -> Iterator[Metric]:
    """Yield the queues: webhooks, the durable inbox, scheduled requests."""
    if m.webhooks_state is not None:
        yield _counter("rtserver_webhooks", "Webhooks processed, by outcome", "outcome", m.webhooks)
        for name, value in zip(("waiting", "oldest_seconds", "parked"), m.webhooks_state, strict=True):
            yield GaugeMetricFamily(f"rtserver_webhooks_{name}", "Webhooks in the queue", value=value)
    if m.inbox is not None:
        for name, text, value in (
            ("waiting", "Entries that no server has claimed", m.inbox.waiting),
            ("pending", "Entries that a server has claimed and not finished", m.inbox.pending),
            ("oldest_seconds", "Age of the oldest entry", m.inbox.oldest_seconds),
        ):
            yield GaugeMetricFamily(f"rtserver_inbox_{name}", f"Inbox: {text}", value=value)
    if m.scheduled_late is not None:
        yield GaugeMetricFamily(
            "rtserver_scheduled_late_seconds", "How late the next scheduled request is", value=m.scheduled_late
        )
    if m.scheduled_failed is not None:
        yield GaugeMetricFamily("rtserver_scheduled_failed", "Scheduled requests that failed", value=m.scheduled_failed)


def _gauge(name: str, text: str, label: str, values: Counter[str]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _counter(name: str, text: str, label: str, values: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
