"""Statistics of the admin dashboard."""

from typing import Any

from rtserver.namespaces.admin.process_memory import resident_bytes
from rtserver.namespaces.admin.stats import ClusterStats, InstanceStats, Sampler
from rtserver.telemetry.metrics import Metrics


def snapshot(**changed: Any) -> dict[str, Any]:
    return Metrics().snapshot() | changed


def test_events_per_second_are_counted_since_the_last_sample() -> None:
    sampler = Sampler("one")
    sampler.sample(snapshot(eventsIn=100), 1, now=10.0)
    stats = sampler.sample(snapshot(eventsIn=150, eventsOut=20), 1, now=12.0)
    assert (stats.events_in, stats.events_out) == (25.0, 10.0)


def test_the_first_sample_shows_no_burst() -> None:
    assert Sampler("one").sample(snapshot(eventsIn=100), 1, now=10.0).events_in == 0


def test_times_are_reported_in_milliseconds() -> None:
    taken = snapshot(handlerP50=0.001, handlerP99=0.25, loopLag=0.0042, redisRoundTrip=0.0005)
    stats = Sampler("one").sample(taken, 1, now=1.0)
    assert (stats.p50, stats.p99, stats.loop_lag, stats.redis_round_trip) == (1.0, 250.0, 4.2, 0.5)


def test_recent_times_forget_a_slow_event_after_ten_seconds() -> None:
    metrics, sampler = Metrics(), Sampler("one")

    def p99(now: float) -> float | None:
        return sampler.sample(metrics.snapshot(), 1, now).recent_p99

    assert p99(0.0) is None
    metrics.event_in("/chat", 4.0)
    assert (p99(1.0) or 0) > 2500
    for second in range(2, 11):
        metrics.event_in("/chat", 0.0002)
        assert (p99(float(second)) or 0) > 2500
    metrics.event_in("/chat", 0.0002)
    assert (p99(11.0) or 0) < 0.25
    assert sampler.sample(metrics.snapshot(), 1, 11.5).p99 > 2000
    assert p99(30.0) is None


def test_the_total_of_recent_times_ignores_servers_that_have_none() -> None:
    cluster = ClusterStats()
    older = {name: value for name, value in word("two").items() if not name.startswith("recent")}
    assert cluster.on_stats(older, 0.0)
    assert cluster.report(sampled("one"), 0.0)["total"]["recentP99"] is None
    assert cluster.on_stats(word("three") | {"recentP99": 7.5}, 0.0)
    assert cluster.report(sampled("one"), 0.0)["total"]["recentP99"] == 7.5


def sampled(instance: str, **changed: Any) -> InstanceStats:
    return Sampler(instance).sample(snapshot(**changed), 100, now=0.0)


def word(instance: str, **changed: Any) -> dict[str, Any]:
    heard = ClusterStats().report(sampled(instance, **changed), 0.0)
    return dict(heard["instances"][0])


def test_the_total_adds_counts_and_shows_the_worst_time() -> None:
    cluster = ClusterStats()
    assert cluster.on_stats(word("two", connections={"/chat": 2, "/x": 1}, handlerP99=0.5, redisRoundTrip=0.003), 0.0)
    report = cluster.report(sampled("one", connections={"/chat": 3}, handlerP99=0.1), 1.0)
    assert [stats["instance"] for stats in report["instances"]] == ["one", "two"]
    assert report["total"]["connections"] == {"/chat": 5, "/x": 1}
    assert report["total"]["p99"] == 500
    assert report["total"]["memory"] == 200
    assert report["total"]["redisRoundTrip"] == 3


def test_an_instance_without_reports_leaves_the_dashboard() -> None:
    cluster = ClusterStats()
    cluster.on_stats(word("two"), 0.0)
    assert len(cluster.report(sampled("one"), 2.9)["instances"]) == 2
    assert len(cluster.report(sampled("one"), 3.1)["instances"]) == 1


def test_invalid_statistics_of_another_program_are_ignored() -> None:
    cluster = ClusterStats()
    for payload in (None, 5, "x", [], {}, {"instance": 5}, word("two") | {"memory": "much"}):
        assert not cluster.on_stats(payload, 0.0)


def test_the_memory_of_this_process_is_plausible() -> None:
    assert 5_000_000 < resident_bytes() < 10_000_000_000
