"""Rate limits: rates such as `50/s`, token buckets that count against them, and a bounded table of buckets by key.

A token bucket holds at most `burst` tokens and gains `per_second` tokens each second. Each use takes one token, and is
rejected while there is none. Tokens are computed when the bucket is used, so an idle bucket costs nothing.

Knows neither clients nor events.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass

_RATE_TEXT = re.compile(r"([1-9][0-9]{0,8})/([sm])")
_SECONDS = {"s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` uses in `seconds`, in bursts of up to twice `count`."""

    count: int
    seconds: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Rate:
        """The rate of `COUNT/s` or `COUNT/m`; raises `ValueError` for any other text."""
        match = _RATE_TEXT.fullmatch(text.strip())
        if match is None:
            raise ValueError("a rate is written COUNT/s or COUNT/m, such as 50/s")
        return cls(int(match[1]), _SECONDS[match[2]])

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def burst(self) -> int:
        return 2 * self.count

    def __str__(self) -> str:
        unit = {1.0: "s", 60.0: "m"}.get(self.seconds, f"{self.seconds:g}s")
        return f"{self.count}/{unit}"


class TokenBucket:
    """A token bucket. It starts full. Times are seconds of one monotonic clock."""

    __slots__ = ("_rate", "_tokens", "_updated")

    def __init__(self, rate: Rate, now: float) -> None:
        self._rate = rate
        self._tokens = float(rate.burst)
        self._updated = now

    def take(self, now: float) -> float:
        """Take one token: returns 0.0 when there was one, else the seconds until there will be one."""
        rate = self._rate
        tokens = min(rate.burst, self._tokens + (now - self._updated) * rate.per_second)
        self._updated = now
        if tokens < 1.0:
            self._tokens = tokens
            return (1.0 - tokens) / rate.per_second
        self._tokens = tokens - 1.0
        return 0.0


class TokenBuckets:
    """One token bucket for each key, at most `max_keys`; the bucket that was used longest ago is dropped first."""

    def __init__(self, rate: Rate, max_keys: int) -> None:
        self._rate, self._max_keys = rate, max_keys
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> float:
        """Take one token of `key`: returns 0.0 when there was one, else the seconds until there will be one."""
        now = time.monotonic()
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return bucket.take(now)
