"""Trouble log: one line when something begins to fail, and one with the number of failures when it works again.

Each event, poll and sweep during an outage fails for the same reason. One line for each would bury everything else, and
fill a disk that may be what the outage is about. So:

1. An episode begins with the first failure. Each further kind of failure gets a line too, up to `MOST` of them; numbers
   within a reason make no other kind.
2. It ends with the first success after `SETTLED` seconds without a failure: some of what is tried may fail while the
   rest works.

It is for what many callers try all the time. Where one loop knows the beginning and the end of an outage, as with a
connection, `rtserver.reconnect.Outage` tells whether there is news; refusals of others are for the refusal log.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final

MOST: Final = 5
SETTLED: Final = 5.0
_NUMBERS = re.compile(r"\d+")
_LONGEST: Final = 300


class TroubleLog:
    """`log` is a logger of structlog; `trouble` and `recovered` are events. `failures`: those of the episode, or 0."""

    __slots__ = ("_began", "_kinds", "_last", "_log", "_recovered", "_trouble", "failures")

    def __init__(self, log: Any, trouble: str, recovered: str) -> None:
        self._log, self._trouble, self._recovered = log, trouble, recovered
        self._kinds: set[str] = set()
        self._began = self._last = 0.0
        self.failures = 0

    def failed(self, reason: str, **fields: Any) -> None:
        """Note a failure, and log it if it is news. `fields` make no difference to that."""
        now = self._last = time.monotonic()
        if not self.failures:
            self._began = now
        self.failures += 1
        kind = _NUMBERS.sub("0", reason[:_LONGEST])
        if kind not in self._kinds and len(self._kinds) < MOST:
            self._kinds.add(kind)
            self._log.warning(self._trouble, **fields, reason=reason[:_LONGEST])

    def worked(self) -> None:
        """Note a success. Most callers look at `failures` before: there is nothing to note while it is 0."""
        if self.failures and time.monotonic() - self._last >= SETTLED:
            seconds = round(self._last - self._began, 1)
            self._log.info(self._recovered, failures=self.failures, seconds=seconds)
            self.failures = 0
            self._kinds.clear()
