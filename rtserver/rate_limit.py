"""Rate limits: rates such as `50/s`, token buckets that count against them, and bounded tables of buckets by key.

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

    def take_many(self, count: int, now: float) -> float:
        """Take `count` tokens, or all of a full bucket, or none: returns as `take` does."""
        rate = self._rate
        wanted = min(count, rate.burst)
        self._tokens = min(rate.burst, self._tokens + (now - self._updated) * rate.per_second)
        self._updated = now
        if self._tokens < wanted:
            return (wanted - self._tokens) / rate.per_second
        self._tokens -= wanted
        return 0.0

    def give_back(self, count: int) -> None:
        """Undo a `take_many`, or a part of it."""
        self._tokens = min(self._rate.burst, self._tokens + count)

    @property
    def full_at(self) -> float:
        """When it will be as full as a new one, if nothing more is taken."""
        return self._updated + (self._rate.burst - self._tokens) / self._rate.per_second


class Buckets(dict[str, TokenBucket]):
    """The token buckets of one owner, by what they count. `users`: those who use them at the moment."""

    __slots__ = ("users",)

    def __init__(self) -> None:
        super().__init__()
        self.users = 0

    @property
    def full_at(self) -> float:
        """When all of them will be full."""
        return max((bucket.full_at for bucket in self.values()), default=0.0)


class KeptBuckets:
    """Buckets whose users have left, until they are full: who comes back to them finds them as they were.

    An owner may have several, such as one for each client of an address. At most `most` in all; the owner that left
    longest ago is forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._count = 0
        self._kept: OrderedDict[str, list[Buckets]] = OrderedDict()

    def __len__(self) -> int:
        return self._count

    def keep(self, owner: str, buckets: Buckets, now: float) -> None:
        """Keep buckets that are not full."""
        if buckets.full_at <= now:
            return
        self._kept.setdefault(owner, []).append(buckets)
        self._kept.move_to_end(owner)
        self._count += 1
        while self._count > self._most or self._oldest_is_full(now):
            self._take(next(iter(self._kept)))

    def take(self, owner: str, now: float) -> Buckets | None:
        """The buckets that were left last by this owner, if they are not full; they are kept no more."""
        while owner in self._kept:
            buckets = self._take(owner, -1)
            if buckets.full_at > now:
                return buckets
        return None

    def _oldest_is_full(self, now: float) -> bool:
        return bool(self._kept) and next(iter(self._kept.values()))[0].full_at <= now

    def _take(self, owner: str, place: int = 0) -> Buckets:
        kept = self._kept[owner]
        self._count -= 1
        if len(kept) == 1:
            del self._kept[owner]
        return kept.pop(place)


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
        return self._of(key, now).take(now)

    def take_many(self, key: str, count: int) -> float:
        """Take `count` tokens of `key` at once, see `TokenBucket.take_many`."""
        now = time.monotonic()
        return self._of(key, now).take_many(count, now)

    def give_back(self, key: str, count: int) -> None:
        """Undo a `take_many`, or a part of it."""
        if (bucket := self._buckets.get(key)) is not None:
            bucket.give_back(count)

    def _of(self, key: str, now: float) -> TokenBucket:
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, now)
        self._buckets[key] = bucket
        if len(self._buckets) > self._max_keys:
            self._buckets.popitem(last=False)
        return bucket
