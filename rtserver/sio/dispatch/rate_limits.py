"""Event rate limits: one token bucket for each client and event, made when the event first comes."""

from __future__ import annotations

import time
from typing import Protocol

from rtserver.errors import RateLimited
from rtserver.rate_limit import Rate, TokenBucket
from rtserver.sio.dispatch.event_table import SERVER_DEFAULT, RateOption


class BucketOwner(Protocol):
    """A client with its token buckets by event; None until the first one is needed."""

    buckets: dict[str, TokenBucket] | None


class EventLimiter:
    """`default` applies to events without a rate of their own; None lifts the limit."""

    def __init__(self, default: Rate | None) -> None:
        self._default = default

    def check(self, client: BucketOwner, name: str, rate: RateOption = SERVER_DEFAULT) -> None:
        """Count one event against `rate`; raises `RateLimited` when there are too many."""
        limit = self._default if rate is SERVER_DEFAULT else rate
        if not isinstance(limit, Rate):
            return
        now = time.monotonic()
        if client.buckets is None:
            client.buckets = {}
        bucket = client.buckets.get(name)
        if bucket is None:
            bucket = client.buckets[name] = TokenBucket(limit, now)
        retry_after = bucket.take(now)
        if retry_after:
            raise RateLimited(retry_after)
