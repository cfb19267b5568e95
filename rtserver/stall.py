"""Stall: a time in which this process did not run, such as SIGSTOP, a paused machine or a handler that blocks.

What its clients sent meanwhile waited in the system. They may have given up, and done the same on another server since.
"""

from __future__ import annotations

import time
from typing import Final

SHORTEST: Final = 1.0
"""Seconds; what is shorter is everyday load."""
RECENT: Final = 5.0
"""Seconds after a stall in which what was sent before its end may still be handled."""


class Stalls:
    """The last stall of this process."""

    __slots__ = ("_began", "_ended", "_until")

    def __init__(self) -> None:
        self._began = self._ended = 0
        self._until = 0.0

    def note(self, seconds: float) -> None:
        """The process did not run for the last `seconds`."""
        if seconds < SHORTEST:
            return
        self._ended = round(time.time() * 1000)
        self._began = self._ended - round(seconds * 1000)
        self._until = time.monotonic() + RECENT

    def recent(self) -> tuple[int, int] | None:
        """Return beginning and end of a stall, in milliseconds since the epoch, if one ended a moment ago."""
        return (self._began, self._ended) if time.monotonic() < self._until else None
