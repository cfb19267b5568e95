"""Backoff: pauses grow, are jittered, and are short again after a connection that lasted."""

import pytest

from rtserver import backoff
from rtserver.backoff import Backoff


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that the backoff sees, and no jitter."""
    now = [100.0]
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: high)
    return now


def test_pauses_grow_up_to_the_cap(clock: list[float]) -> None:
    pauses = Backoff(1.0, 5.0)
    assert [pauses.pause() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_connection_that_lasted_starts_over_and_a_short_one_does_not(clock: list[float]) -> None:
    pauses = Backoff(1.0, 8.0, factor=3.0, stable=5.0)
    assert [pauses.pause(), pauses.pause()] == [1.0, 3.0]
    pauses.connected()
    clock[0] += 4.9
    assert pauses.pause() == 8.0
    pauses.connected()
    clock[0] += 5.0
    assert pauses.pause() == 1.0


def test_reset_starts_over(clock: list[float]) -> None:
    pauses = Backoff(1.0, 8.0)
    pauses.pause()
    pauses.reset()
    assert pauses.pause() == 1.0


def test_jitter_takes_at_most_half_away() -> None:
    assert all(0.5 <= Backoff(1.0).pause() <= 1.0 for _ in range(200))


def test_pauses_without_jitter_are_exact() -> None:
    pauses = Backoff(1.0, 3.0, jitter=0.0)
    assert [pauses.pause() for _ in range(3)] == [1.0, 2.0, 3.0]
