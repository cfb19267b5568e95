"""The token bucket: counts against a `Rate`. Knows neither clients nor events."""

from __future__ import annotations

from rtserver.rate import Rate


class TokenBucket:
    """Starts full; times are seconds of one monotonic clock."""

    __slots__ = ("_rate", "_tokens", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._updated = now

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there will be."""
        rate = self._rate
        tokens = min(rate.burst, self._tokens + (now - self._updated) * rate.per_second)
        self._updated = now
        if tokens < 1.0:
            self._tokens = tokens
            return (1.0 - tokens) / rate.per_second
        self._tokens = tokens - 1.0
        return 0.0
