"""Rates and token buckets."""

from __future__ import annotations

import re
from dataclasses import dataclass

_RATE = re.compile(r"(\d{1,9})/(s|m|h)")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` events per `seconds` on average; a burst of twice that."""

    count: int
    seconds: float

    @classmethod
    def parse(cls, text: str | Rate) -> Rate:
        """`"10/s"`, `"30/m"` or `"100/h"`; raises `ValueError`."""
        if isinstance(text, Rate):
            return text
        match = _RATE.fullmatch(text)
        if match is None or int(match[1]) == 0:
            raise ValueError(f"{text!r} is not a rate such as 10/s, 30/m or 100/h")
        return cls(int(match[1]), _SECONDS[match[2]])

    @property
    def burst(self) -> int:
        return 2 * self.count


class TokenBucket:
    __slots__ = ("_rate", "_tokens", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._updated = now

    def take(self, now: float) -> float:
        """Take one token: 0.0 when there was one, else the seconds until there will be."""
        rate = self._rate
        per_second = rate.count / rate.seconds
        tokens = min(rate.burst, self._tokens + (now - self._updated) * per_second)
        self._updated = now
        if tokens < 1.0:
            self._tokens = tokens
            return (1.0 - tokens) / per_second
        self._tokens = tokens - 1.0
        return 0.0
