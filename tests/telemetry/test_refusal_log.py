"""Refusal log: each kind and sender once, and never a flood."""

import time

import pytest
import structlog
from structlog.testing import capture_logs

from rtserver.telemetry.refusal_log import RefusalLog


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def refusals(most: int = 200) -> RefusalLog:
    return RefusalLog(structlog.get_logger("test"), quiet=60.0, most=most)


def test_each_kind_and_each_sender_has_a_line_of_its_own(clock: list[float]) -> None:
    log = refusals()
    with capture_logs() as lines:
        for _ in range(1000):
            for sender in ("a", "b"):
                log.note("refused", "not an object", {"channel": sender})
                log.note("refused", "too large", {"channel": sender})
            log.note("other", "too large", {"channel": "a"})
    assert [(line["event"], line["channel"], line["reason"]) for line in lines] == [
        ("refused", "a", "not an object"),
        ("refused", "a", "too large"),
        ("refused", "b", "not an object"),
        ("refused", "b", "too large"),
        ("other", "a", "too large"),
    ]
    assert {line["log_level"] for line in lines} == {"warning"}


def test_numbers_and_details_make_no_new_kind(clock: list[float]) -> None:
    log = refusals()
    with capture_logs() as lines:
        for number in range(100):
            log.note("refused", f"invalid (byte {number})", {}, id=str(number))
    assert [(line["reason"], line["id"]) for line in lines] == [("invalid (byte 0)", "0")]


def test_the_next_line_comes_after_a_quiet_time_with_the_number_in_between(clock: list[float]) -> None:
    log = refusals()
    with capture_logs() as lines:
        for _ in range(10):
            clock[0] += 50  # never quiet
            log.note("refused", "x", {})
        assert len(lines) == 1
        clock[0] += 60
        log.note("refused", "x", {})
    assert [line.get("repeated") for line in lines] == [None, 9]


def test_a_flood_of_senders_is_bounded(clock: list[float]) -> None:
    log = refusals(most=5)
    with capture_logs() as lines:
        for number in range(10_000):
            log.note("refused", "x", {"uid": f"u{number}"})
    assert len(lines) == 6
    assert lines[-1]["reason"] == "more than 5 kinds and senders: the others are only counted"
    assert len(log._seen) == 5
    clock[0] += 61
    with capture_logs() as lines:
        log.note("refused", "x", {"uid": "new"})
    assert [line["uid"] for line in lines] == ["new"]


def test_a_long_reason_is_cut(clock: list[float]) -> None:
    with capture_logs() as lines:
        refusals().note("refused", "x" * 10_000, {})
    assert len(lines[0]["reason"]) == 200


def test_lines_have_the_chosen_level(clock: list[float]) -> None:
    log = RefusalLog(structlog.get_logger("test"), level="info", most=1)
    with capture_logs() as lines:
        log.note("refused", "x", {"origin": "a"})
        log.note("refused", "x", {"origin": "b"})
    assert [line["log_level"] for line in lines] == ["info", "info"]


def test_a_flood_is_not_searched_for_each_message():
    refusals = RefusalLog(type("Silent", (), {"warning": lambda *args, **details: None})(), most=5)
    for number in range(7):
        refusals.note("refused", "a reason", {"uid": f"s{number}"})
    seen = refusals._seen
    for number in range(100):
        refusals.note("refused", "a reason", {"uid": f"t{number}"})
    assert refusals._seen is seen
