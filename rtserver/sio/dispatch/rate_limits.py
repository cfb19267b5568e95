"""Event rate limits: one token bucket for each event of a user in a namespace, made when the event first comes.

1. All clients of a user share the buckets, on whichever connection: a second tab or a new connection brings no new
   tokens. Each instance counts by itself.
2. A client without an identity has buckets of its own, as many people may be behind one address. When it has left, they
   go to the next client without an identity that comes from this address.
3. Buckets outlive their clients until they are full, so for seconds; a full one is as good as a new one.
"""

from __future__ import annotations

import time
from typing import Protocol

from rtserver.errors import RateLimited
from rtserver.identity import Identity
from rtserver.rate_limit import Buckets, KeptBuckets, Rate, TokenBucket
from rtserver.sio.broadcast.recipient import Labelled, PublicHandshake
from rtserver.sio.dispatch.event_table import SERVER_DEFAULT, RateOption
from rtserver.sio.limits.connection_limits import network_of

MAX_KEPT = 10_000
"""Buckets of users and addresses that have left and are remembered."""


class BucketUser(Protocol):
    """A client; `buckets` are those of its user, None until the first one is needed."""

    buckets: Buckets | None
    identity: Identity | None

    @property
    def connected(self) -> bool: ...

    @property
    def handler(self) -> Labelled: ...

    @property
    def handshake(self) -> PublicHandshake: ...


class EventLimiter:
    """`default` applies to events without a rate of their own; None lifts the limit."""

    def __init__(self, default: Rate | None) -> None:
        self._default = default
        self._in_use: dict[str, Buckets] = {}
        self._kept = KeptBuckets(MAX_KEPT)

    def check(self, client: BucketUser, name: str, rate: RateOption = SERVER_DEFAULT) -> None:
        """Count one event against `rate`; raises `RateLimited` when there are too many."""
        limit = self._default if rate is SERVER_DEFAULT else rate
        if not isinstance(limit, Rate):
            return
        now = time.monotonic()
        if client.buckets is None:
            client.buckets = self._buckets_of(client, now)
        bucket = client.buckets.get(name)
        if bucket is None:
            bucket = client.buckets[name] = TokenBucket(limit, now)
        retry_after = bucket.take(now)
        if retry_after:
            raise RateLimited(retry_after)

    def _buckets_of(self, client: BucketUser, now: float) -> Buckets:
        owner = _owner(client)
        buckets = self._in_use.get(owner) if client.identity is not None else None
        if buckets is None:
            buckets = self._kept.take(owner, now) or Buckets()
        if client.connected:  # the last events of a client that has left are counted, but it will not leave again
            buckets.users += 1
            if client.identity is not None:
                self._in_use[owner] = buckets
        return buckets

    def client_left(self, client: BucketUser) -> None:
        """The client has left its namespace. It may still have events that wait."""
        buckets = client.buckets
        if buckets is None:
            return
        buckets.users -= 1
        if not buckets.users:
            owner = _owner(client)
            if client.identity is not None:
                del self._in_use[owner]
            self._kept.keep(owner, buckets, time.monotonic())


def _owner(client: BucketUser) -> str:
    """Who shares the buckets: a user, or those who come from an address. Neither can be written like the other."""
    label = client.handler.label
    if client.identity is not None:
        return f"{label} user {client.identity.user}"
    return f"{label} from {network_of(client.handshake.address)}"
