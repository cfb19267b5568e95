"""Rates, token buckets and the table of buckets."""

import pytest

from rtserver.rate_limit import Rate, TokenBucket, TokenBuckets


def test_a_burst_of_twice_the_rate_then_the_rate():
    bucket = TokenBucket(Rate(10), 0.0)
    assert [bucket.take(0.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.05) == pytest.approx(0.05)
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) == pytest.approx(0.1)


def test_waiting_for_the_reported_seconds_is_enough():
    bucket = TokenBucket(Rate(3, 60.0), 0.0)
    for _ in range(6):
        bucket.take(0.0)
    retry_after = bucket.take(1.0)
    assert bucket.take(1.0 + retry_after + 1e-6) == 0.0


def test_a_long_pause_fills_one_burst_and_no_more():
    bucket = TokenBucket(Rate(2), 0.0)
    assert sum(bucket.take(1e9) == 0.0 for _ in range(100)) == 4


def test_rejected_uses_take_no_token():
    bucket = TokenBucket(Rate(1), 0.0)
    taken = [bucket.take(at / 100) for at in range(301)]
    assert sum(wait == 0.0 for wait in taken) == 5


def test_a_table_counts_each_key_separately_and_drops_the_one_used_longest_ago(monkeypatch):
    monkeypatch.setattr("rtserver.rate_limit.time.monotonic", lambda: 100.0)
    buckets = TokenBuckets(Rate(1, 60.0), max_keys=2)
    assert [buckets.take("a"), buckets.take("a"), buckets.take("b")] == [0.0, 0.0, 0.0]
    assert buckets.take("a") == 60.0
    assert buckets.take("c") == 0.0  # "b" is dropped: "a" was used since
    assert len(buckets) == 2
    assert buckets.take("a") > 0.0
    assert [buckets.take("b"), buckets.take("b")] == [0.0, 0.0]
