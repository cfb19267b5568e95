"""Connection limits: how many connections there may be in all, from one address and of one user, and how fast.

1. A rejected connection is opened, receives CONNECT_ERROR on its first CONNECT and is closed one second later. Stock
   clients then do not reconnect by themselves, as they would after a refused handshake.
2. A rejected connection counts toward no limit. At most `MAX_REJECTED` may be open; further ones get an HTTP error.
3. CONNECT packets are limited for each connection. As it may be closed and opened again, a connection that had many
   leaves its bucket to the next one from its address, until the bucket is full, with `SPARED` uses more.
4. IPv6 addresses count by their network of 64 bits, as one customer has all of it.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from rtserver.engine.http.responses import FORBIDDEN, Refusal
from rtserver.errors import Refused
from rtserver.protocol.addresses import normal_address
from rtserver.rate_limit import Buckets, KeptBuckets, Rate, TokenBucket, TokenBuckets

if TYPE_CHECKING:
    from rtserver.sio.limits.limits import Limits

MESSAGE = "Too many connections"
MAX_REJECTED = 1000
"""Rejected connections that may be open."""

CONNECT = "CONNECT"
SPARED = 4
"""CONNECT packets that a new connection may send in any case: its client may be another one, behind the same proxy."""
MAX_ADDRESSES = 10_000
"""Addresses whose connect rate is tracked; beyond it, the one seen longest ago is forgotten."""


class TooManyConnections(Refused):
    """`limit`: the limit that was reached, "server", "address", "user" or "rate"."""

    def __init__(self, limit: str, **data: Any) -> None:
        super().__init__(MESSAGE, code="rate_limited", limit=limit, **data)


class ConnectionSlot:
    """The share of the limits that one connection holds until it is closed. `refused`: why it was rejected, if so."""

    __slots__ = ("address", "refused", "users")

    def __init__(self, address: str) -> None:
        self.address = address
        self.refused: Refused | None = None
        self.users: tuple[str, ...] = ()


class ConnectionLimiter:
    """Counts the connections of one server against `Limits`."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._rates = TokenBuckets(limits.connect_rate, MAX_ADDRESSES) if limits.connect_rate is not None else None
        self._connect_packets = Rate(limits.max_namespaces)
        self._kept_connects = KeptBuckets(MAX_ADDRESSES)
        self._by_address = self._rates is not None or limits.max_connections_per_ip > 0
        self.connections = 0
        self.rejected = 0
        self.addresses: Counter[str] = Counter()
        self.users: Counter[str] = Counter()

    def acquire(self, address: str) -> ConnectionSlot:
        """Count a new connection. Raises the engine's `Refusal` by rule 2."""
        slot = ConnectionSlot(network_of(address) if self._by_address else "")
        slot.refused = self._refusal(slot.address)
        if slot.refused is not None:
            if self.rejected >= MAX_REJECTED:
                raise Refusal(FORBIDDEN, MESSAGE)
            self.rejected += 1
        else:
            self.connections += 1
            if slot.address:
                self.addresses[slot.address] += 1
        return slot

    def _refusal(self, address: str) -> Refused | None:
        limits = self._limits
        if 0 < limits.max_connections <= self.connections:
            return TooManyConnections("server")
        if 0 < limits.max_connections_per_ip <= self.addresses[address]:
            return TooManyConnections("address")
        wait = self._rates.take(address) if self._rates is not None else 0.0
        return TooManyConnections("rate", retryAfter=round(wait, 3)) if wait else None

    def connects_of(self, address: str) -> TokenBucket:
        """The bucket for the CONNECT packets of a new connection: one that was left, or a full one (rule 3)."""
        now = time.monotonic()
        kept = self._kept_connects.take(network_of(address), now) if self._kept_connects else None
        if kept is None:
            return TokenBucket(self._connect_packets, now)
        kept[CONNECT].give_back(SPARED)
        return kept[CONNECT]

    def keep_connects(self, address: str, bucket: TokenBucket) -> None:
        """A connection was closed, with this bucket for its CONNECT packets."""
        now = time.monotonic()
        if bucket.full_at > now:
            left = Buckets()
            left[CONNECT] = bucket
            self._kept_connects.keep(network_of(address), left, now)

    def identify(self, slot: ConnectionSlot, user: str) -> None:
        """Count the connection toward the limit of `user`; raises `TooManyConnections`."""
        limit = self._limits.max_connections_per_user
        if not limit or user in slot.users:
            return
        if self.users[user] >= limit:
            raise TooManyConnections("user")
        slot.users = (*slot.users, user)
        self.users[user] += 1

    def release(self, slot: ConnectionSlot) -> None:
        """Count out a connection that was closed."""
        if slot.refused is not None:
            self.rejected -= 1
            return
        self.connections -= 1
        if slot.address:
            _decrement(self.addresses, slot.address)
        for user in slot.users:
            _decrement(self.users, user)


def network_of(address: str) -> str:
    """The network that an address counts as (rule 4)."""
    normal = normal_address(address)
    if normal is None or ":" not in normal:
        return normal or address
    return str(ipaddress.ip_network((int(ipaddress.ip_address(normal)) >> 64 << 64, 64)))


def _decrement(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
