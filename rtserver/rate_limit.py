"""Rate limits: `50/s`, `10/m`, the token bucket that counts against one, and a bounded table of buckets by key.

Knows neither clients nor events.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from dataclasses import dataclass

_WRITTEN = re.compile(r"([1-9][0-9]{0,8})/([sm])")
_SECONDS = {"s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """`count` times in `seconds`, in bursts of up to twice that."""

    count: int
    seconds: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Rate:
        """`COUNT/s` or `COUNT/m`; raises ValueError for anything else."""
        written = _WRITTEN.fullmatch(text.strip())
        if written is None:
            raise ValueError("a rate is written COUNT/s or COUNT/m, such as 50/s")
        return cls(int(written[1]), _SECONDS[written[2]])

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


class TokenBuckets:
    """One token bucket per key, at most `most` of them: the one used longest ago is forgotten first."""

    def __init__(self, rate: Rate, most: int) -> None:
        self._rate, self._most = rate, most
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str) -> float:
        """Take one token of `key`: 0.0 when there was one, else the seconds until there will be."""
        now = time.monotonic()
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.take(now)
