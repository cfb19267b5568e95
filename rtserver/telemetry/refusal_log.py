"""Refusal log: one line for each kind of refusal and its sender, however often it is refused.

Whoever publishes to Redis or to a broker gets no answer, and a page does not learn from its browser why it may not
connect: the log is the only place that tells. And all of them can repeat it at any rate. So:

1. A line for each event, reason and sender; the next one after `QUIET` seconds without any, with the number of those in
   between. Numbers within a reason, such as positions, make no other reason.
2. At most `MOST` of them are remembered. Beyond that a single line says so, until some are forgotten.
3. The reason and the sender must hold nothing of the content: the caller sees to that.
"""

from __future__ import annotations

import re
import time
from typing import Any

QUIET = 60.0
MOST = 200
SWEEP = 1.0
"""Seconds between two searches for what can be forgotten: a flood should not cost one for each message."""
_NUMBERS = re.compile(r"\d+")
_LONGEST = 200

_Key = tuple[str, ...]


class RefusalLog:
    """`log` is a logger of structlog; `quiet` is in seconds."""

    __slots__ = ("_full", "_level", "_log", "_most", "_quiet", "_seen", "_swept")

    def __init__(self, log: Any, *, level: str = "warning", quiet: float = QUIET, most: int = MOST) -> None:
        self._log, self._level, self._quiet, self._most = log, level, quiet, most
        self._seen: dict[_Key, tuple[float, int]] = {}
        """When the last one came, and how many came since the last line."""
        self._full: float | None = None
        self._swept = -SWEEP

    def note(self, event: str, reason: str, sender: dict[str, str], **details: Any) -> None:
        """Note a refusal, and log it if it is news. `details` make no difference to that."""
        key = (event, _NUMBERS.sub("0", reason[:_LONGEST]), *sender.values())
        now = time.monotonic()
        last, repeated = self._seen.get(key, (None, 0))
        if last is not None and now - last < self._quiet:
            self._seen[key] = now, repeated + 1
        elif last is None and not self._has_room(now):
            self._note_full(event, now)
        else:
            self._seen[key] = now, 0
            given = {**details, "repeated": repeated} if repeated else details
            self._write(event, reason=reason[:_LONGEST], **sender, **given)

    def _has_room(self, now: float) -> bool:
        if len(self._seen) >= self._most and now - self._swept >= SWEEP:
            self._swept = now
            self._seen = {key: seen for key, seen in self._seen.items() if now - seen[0] < self._quiet}
        return len(self._seen) < self._most

    def _note_full(self, event: str, now: float) -> None:
        if self._full is None or now - self._full >= self._quiet:
            self._write(event, reason=f"more than {self._most} kinds and senders: the others are only counted")
        self._full = now

    def _write(self, event: str, **fields: Any) -> None:
        getattr(self._log, self._level)(event, **fields)
