"""Times: milliseconds since the epoch in the store, ISO-8601 UTC on the wire."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now_ms() -> int:
    """The current time in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def iso(ms: int) -> str:
    """A time in milliseconds as `2026-11-22T15:04:05.123Z`."""
    seconds, rest = divmod(ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:03d}Z"


def from_iso(text: str) -> int:
    """The milliseconds of an ISO-8601 time, which is in UTC unless it says otherwise. Raises `ValueError`."""
    moment = datetime.fromisoformat(text)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
