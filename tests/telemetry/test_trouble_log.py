"""Trouble log: an outage is one line at its beginning and one at its end, whatever fails meanwhile."""

from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from rtserver.telemetry import trouble_log
from rtserver.telemetry.trouble_log import MOST, SETTLED, TroubleLog

Lines = list[dict[str, Any]]


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr(trouble_log.time, "monotonic", lambda: time[0])
    return time


def new() -> TroubleLog:
    return TroubleLog(structlog.get_logger("test"), "trouble", "recovered")


def events(logs: Any) -> list[str]:
    return [line["event"] for line in logs]


def test_an_outage_has_two_lines_and_a_count(now: list[float]) -> None:
    with capture_logs() as logs:
        trouble = new()
        for _ in range(254):
            trouble.failed("connection refused", error="OSError")
            now[0] += 0.06
        now[0] += SETTLED
        trouble.worked()
        trouble.worked()
    assert logs[0] == {
        "event": "trouble", "error": "OSError", "reason": "connection refused", "log_level": "warning"
    }  # fmt: skip
    assert logs[1:] == [{"event": "recovered", "failures": 254, "seconds": 15.2, "log_level": "info"}]
    assert trouble.failures == 0


def test_what_works_in_between_ends_no_outage(now: list[float]) -> None:
    """On a full disk reads succeed, and small writes now and then."""
    with capture_logs() as logs:
        trouble = new()
        for _ in range(100):
            trouble.failed("disk is full")
            trouble.worked()
            now[0] += SETTLED / 2
    assert events(logs) == ["trouble"]


def test_each_kind_of_failure_has_a_line_and_numbers_make_no_kind(now: list[float]) -> None:
    with capture_logs() as logs:
        trouble = new()
        for number in range(50):
            trouble.failed(f"no connection to port {number}")
            trouble.failed("too many connections")
    assert [line["reason"] for line in logs] == ["no connection to port 0", "too many connections"]


def test_kinds_are_bounded(now: list[float]) -> None:
    with capture_logs() as logs:
        trouble = new()
        for number in range(1000):
            trouble.failed("x" * number)
    assert len(logs) == MOST


def test_the_next_outage_is_news_again(now: list[float]) -> None:
    with capture_logs() as logs:
        trouble = new()
        for _ in range(2):
            trouble.failed("gone")
            now[0] += SETTLED
            trouble.worked()
    assert events(logs) == ["trouble", "recovered"] * 2
