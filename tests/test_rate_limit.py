"""Rates, token buckets and the table of buckets."""

import pytest

from rtserver.rate_limit import Buckets, KeptBuckets, Rate, TokenBucket, TokenBuckets


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


def test_many_tokens_are_taken_together_or_not_at_all_and_can_be_given_back():
    bucket = TokenBucket(Rate(5), 0.0)
    assert bucket.take_many(8, 0.0) == 0.0
    assert bucket.take_many(4, 0.0) == pytest.approx(0.4)
    bucket.give_back(2)
    assert bucket.take_many(4, 0.0) == 0.0
    bucket.give_back(100)
    assert bucket.take_many(1000, 0.0) == 0.0, "more than a burst waits for a full bucket"
    assert bucket.take_many(1000, 0.0) == pytest.approx(2.0)


def buckets_with(taken: int, rate: Rate = Rate(1), now: float = 0.0) -> Buckets:  # noqa: B008  it is frozen
    buckets = Buckets()
    buckets["event"] = TokenBucket(rate, now)
    for _ in range(taken):
        buckets["event"].take(now)
    return buckets


def test_buckets_are_kept_until_they_are_full():
    kept = KeptBuckets(10)
    empty = buckets_with(2)
    kept.keep("ann", empty, 0.0)
    kept.keep("bob", buckets_with(0), 0.0)
    assert len(kept) == 1, "a full bucket is as good as a new one"
    assert kept.take("bob", 0.0) is None
    assert kept.take("ann", 1.9) is empty
    assert kept.take("ann", 1.9) is None
    kept.keep("ann", empty, 1.9)
    assert kept.take("ann", 2.0) is None
    assert len(kept) == 0


def test_of_several_kept_buckets_of_an_owner_each_is_given_once():
    kept = KeptBuckets(10)
    several = [buckets_with(2) for _ in range(3)]
    for buckets in several:
        kept.keep("address", buckets, 0.0)
    assert [kept.take("address", 0.0) for _ in range(4)] == [*several[::-1], None]


def test_kept_buckets_are_bounded_and_leave_nothing_behind():
    kept = KeptBuckets(3)
    for number in range(100):
        kept.keep(f"user{number % 7}", buckets_with(2), 0.0)
        assert len(kept) <= 3
    kept.keep("late", buckets_with(2, now=50.0), 50.0)
    assert len(kept) == 1, "those that are full are dropped"
    assert list(kept._kept) == ["late"]
