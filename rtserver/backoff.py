"""Backoff: growing, jittered pauses between attempts. Knows neither what is attempted nor why it failed.

1. The first pause is `first` seconds; each further one is `factor` times as long, up to `cap`.
2. Each pause is shortened by a random part of up to `jitter`, so that instances that failed together do not return
   together.
3. Pauses are short again after `reset`, or once a connection has lasted for `stable` seconds: a peer that accepts each
   connection only to close it is not asked twenty times a second.
"""

from __future__ import annotations

import random
import time


class Backoff:
    """All times are in seconds; `jitter` is a part of a pause, from 0 to 1."""

    def __init__(
        self, first: float = 0.05, cap: float = 5.0, *, factor: float = 2.0, stable: float = 5.0, jitter: float = 0.5
    ) -> None:
        self._first, self._cap, self._factor, self._stable = first, cap, factor, stable
        self._jitter = jitter
        self._next = first
        self._since: float | None = None

    def connected(self) -> None:
        """Note that an attempt succeeded; after `stable` seconds the next pause is the first again."""
        self._since = time.monotonic()

    def reset(self) -> None:
        """Begin again with the first pause."""
        self._next, self._since = self._first, None

    def pause(self) -> float:
        """Return the seconds to wait before the next attempt."""
        since, self._since = self._since, None
        if since is not None and time.monotonic() - since >= self._stable:
            self._next = self._first
        pause, self._next = self._next, min(self._cap, self._next * self._factor)
        return pause * random.uniform(1.0 - self._jitter, 1.0)  # noqa: S311  jitter is no secret
