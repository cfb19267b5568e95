"""How many connections there may be, in all, from one address and of one user, and how fast they may come.

1. Who is turned away is told so at its first CONNECT, and closed shortly after: a stock client then stays away until
   it is told to connect again.
2. Who is turned away counts for nobody's limit. At most `MAX_TURNED_AWAY` may be waiting to be told; the next one is
   refused by HTTP.
3. Addresses of IPv6 count by their network of 64 bits, as one customer has all of it.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from typing import TYPE_CHECKING, Any

from rtserver.engine.http.responses import FORBIDDEN, Refusal
from rtserver.errors import Refused
from rtserver.rate_limit import TokenBuckets

if TYPE_CHECKING:
    from rtserver.sio.limits.limits import Limits

MESSAGE = "Too many connections"
MAX_TURNED_AWAY = 1000
MAX_ADDRESSES = 10_000
"""Addresses whose rate is kept; past it, the one that was longest away is forgotten."""


class TooManyConnections(Refused):
    """`limit`: which one, "server", "address", "user" or "rate"."""

    def __init__(self, limit: str, **data: Any) -> None:
        super().__init__(MESSAGE, code="rate_limited", limit=limit, **data)


class ConnectionSlot:
    """What one connection was let in with, for its way out."""

    __slots__ = ("address", "refused", "users")

    def __init__(self, address: str) -> None:
        self.address = address
        self.refused: Refused | None = None
        self.users: tuple[str, ...] = ()


class ConnectionLimiter:
    def __init__(self, bounds: Limits) -> None:
        self._bounds = bounds
        self._rates = TokenBuckets(bounds.connect_rate, MAX_ADDRESSES) if bounds.connect_rate is not None else None
        self._by_address = self._rates is not None or bounds.max_connections_per_ip > 0
        self.connections = 0
        self.turned_away = 0
        self.addresses: Counter[str] = Counter()
        self.users: Counter[str] = Counter()

    def open(self, address: str) -> ConnectionSlot:
        """A connection comes. Raises the engine's `Refusal` by rule 2."""
        given = ConnectionSlot(network_of(address) if self._by_address else "")
        given.refused = self._refusal(given.address)
        if given.refused is not None:
            if self.turned_away >= MAX_TURNED_AWAY:
                raise Refusal(FORBIDDEN, MESSAGE)
            self.turned_away += 1
        else:
            self.connections += 1
            if given.address:
                self.addresses[given.address] += 1
        return given

    def _refusal(self, address: str) -> Refused | None:
        bounds = self._bounds
        if 0 < bounds.max_connections <= self.connections:
            return TooManyConnections("server")
        if 0 < bounds.max_connections_per_ip <= self.addresses[address]:
            return TooManyConnections("address")
        wait = self._rates.take(address) if self._rates is not None else 0.0
        return TooManyConnections("rate", retryAfter=round(wait, 3)) if wait else None

    def enter(self, given: ConnectionSlot, user: str) -> None:
        """A client of the connection has this identity; raises `TooManyConnections`."""
        limit = self._bounds.max_connections_per_user
        if not limit or user in given.users:
            return
        if self.users[user] >= limit:
            raise TooManyConnections("user")
        given.users = (*given.users, user)
        self.users[user] += 1

    def close(self, given: ConnectionSlot) -> None:
        if given.refused is not None:
            self.turned_away -= 1
            return
        self.connections -= 1
        if given.address:
            _less(self.addresses, given.address)
        for user in given.users:
            _less(self.users, user)


def network_of(address: str) -> str:
    """What an address counts as."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv6Address):
        mapped = ip.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((int(ip) >> 64 << 64, 64)))
    return str(ip)


def _less(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if counter[key] <= 0:
        del counter[key]
