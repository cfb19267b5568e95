"""rtserver/telemetry/metrics.py: the numbers of the dashboard and of /metrics."""

from __future__ import annotations

import pytest

from rtserver.telemetry.metrics import HANDLER_BUCKETS, Metrics


def test_quantiles_of_handler_times_are_within_their_bucket():
    metrics = Metrics()
    assert metrics.handler_quantile(0.5) == 0
    for hundredth in range(100):
        metrics.event_in("/chat", hundredth / 100_000)
    assert metrics.handler_quantile(0.5) == pytest.approx(0.0005, rel=0.1)
    assert metrics.handler_quantile(0.99) == pytest.approx(0.001, rel=0.1)
    metrics.event_in("/chat", 100.0)
    assert metrics.handler_quantile(1.0) == HANDLER_BUCKETS[-1]


def test_events_are_counted_by_namespace_and_outcome():
    metrics = Metrics()
    metrics.event_in("/chat", 0.001)
    metrics.event_in("/chat", 0.001, "forbidden")
    assert metrics.received == {("/chat", "ok"): 1, ("/chat", "forbidden"): 1}
    assert metrics.snapshot()["eventsIn"] == 2
    text = metrics.exposition().decode()
    assert 'rtserver_events_received_total{code="forbidden",namespace="/chat"} 1.0' in text
    assert "rtserver_handler_seconds_count 2.0" in text


def test_an_empty_namespace_is_not_listed():
    metrics = Metrics()
    metrics.namespace_connected("/chat")
    metrics.namespace_disconnected("/chat")
    assert metrics.snapshot()["connections"] == {}
