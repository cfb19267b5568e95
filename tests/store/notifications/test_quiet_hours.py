"""Quiet hours in local time, past midnight and across clock changes."""

from datetime import UTC, datetime

import pytest

from rtserver.store.notifications.quiet_hours import QuietHours


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "end"),
    [
        ("2026-06-01T21:59:59+02:00", None),
        ("2026-06-01T22:00:00+02:00", "2026-06-02T07:00:00+02:00"),
        ("2026-06-02T03:00:00+02:00", "2026-06-02T07:00:00+02:00"),
        ("2026-06-02T06:59:59+02:00", "2026-06-02T07:00:00+02:00"),
        ("2026-06-02T07:00:00+02:00", None),
        ("2026-12-01T22:30:00+01:00", "2026-12-02T07:00:00+01:00"),
        # The clocks change within the night: seven in the morning is seven in the morning.
        ("2026-03-28T23:00:00+01:00", "2026-03-29T07:00:00+02:00"),
        ("2026-10-24T23:00:00+02:00", "2026-10-25T07:00:00+01:00"),
    ],
)
def test_a_night_in_paris(now: str, end: str | None) -> None:
    night = QuietHours("22:00", "07:00", "Europe/Paris")
    assert night.fault() is None
    assert night.until(moment(now)) == (moment(end) if end else None)


def test_hours_within_one_day() -> None:
    lunch = QuietHours("12:00", "13:30", "America/New_York")
    assert lunch.until(moment("2026-06-01T12:00:00-04:00")) == moment("2026-06-01T13:30:00-04:00")
    assert lunch.until(moment("2026-06-01T11:59:59-04:00")) is None
    assert lunch.until(moment("2026-06-01T13:30:00-04:00")) is None


def test_an_hour_that_comes_twice_is_quiet_once() -> None:
    hours = QuietHours("02:15", "02:45", "Europe/Paris")
    assert hours.until(moment("2026-10-25T02:30:00+02:00")) == moment("2026-10-25T02:45:00+02:00")
    assert hours.until(moment("2026-10-25T02:30:00+01:00")) is None


def test_quiet_hours_in_a_skipped_hour_move_on() -> None:
    hours = QuietHours("02:15", "02:45", "Europe/Paris")
    assert hours.until(moment("2026-03-29T03:30:00+02:00")) == moment("2026-03-29T03:45:00+02:00")
    assert hours.until(moment("2026-03-29T03:50:00+02:00")) is None


@pytest.mark.parametrize(
    "wrong",
    [
        QuietHours("24:00", "07:00", "UTC"),
        QuietHours("7:00", "08:00", "UTC"),
        QuietHours("07:60", "08:00", "UTC"),
        QuietHours("07:00\n", "08:00", "UTC"),
        QuietHours("٠٧:٠٠", "08:00", "UTC"),
        QuietHours("07:00", "07:00", "UTC"),
        *(
            QuietHours("22:00", "07:00", zone)
            for zone in ("", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe", "a\0b", "x" * 10_000, "ü")
        ),
    ],
)
def test_invalid_times_and_time_zones_are_faults(wrong: QuietHours) -> None:
    assert wrong.fault()


def test_an_unknown_time_zone_makes_no_hour_quiet() -> None:
    assert QuietHours("00:00", "23:59", "Mars/Olympus").until(datetime.now(UTC)) is None
