"""The token bucket."""

import pytest

from rtserver.rate_limit import Rate, TokenBucket


def test_a_burst_of_twice_the_rate_then_the_rate():
    bucket = TokenBucket(Rate(10), 0.0)
    assert [bucket.take(0.0) for _ in range(20)] == [0.0] * 20
    assert bucket.take(0.0) == pytest.approx(0.1)
    assert bucket.take(0.05) == pytest.approx(0.05)
    assert bucket.take(0.1) == 0.0
    assert bucket.take(0.1) == pytest.approx(0.1)


def test_waiting_as_long_as_told_is_enough():
    bucket = TokenBucket(Rate(3, 60.0), 0.0)
    for _ in range(6):
        bucket.take(0.0)
    retry_after = bucket.take(1.0)
    assert bucket.take(1.0 + retry_after + 1e-6) == 0.0


def test_a_long_silence_earns_one_burst_not_more():
    bucket = TokenBucket(Rate(2), 0.0)
    assert sum(bucket.take(1e9) == 0.0 for _ in range(100)) == 4


def test_refused_attempts_cost_nothing():
    bucket = TokenBucket(Rate(1), 0.0)
    taken = [bucket.take(at / 100) for at in range(301)]
    assert sum(wait == 0.0 for wait in taken) == 5
