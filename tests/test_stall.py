"""Stalls: only long ones count, and only for a moment after their end."""

import pytest

from rtserver import stall
from rtserver.stall import RECENT, SHORTEST, Stalls


def test_a_stall_is_known_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr(stall.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(stall.time, "time", lambda: 1_000_000.0)
    stalls = Stalls()
    assert stalls.recent() is None
    stalls.note(12.5)
    assert stalls.recent() == (999_987_500, 1_000_000_000)
    now[0] += RECENT
    assert stalls.recent() is None


def test_everyday_load_is_no_stall() -> None:
    stalls = Stalls()
    stalls.note(SHORTEST / 2)
    assert stalls.recent() is None
