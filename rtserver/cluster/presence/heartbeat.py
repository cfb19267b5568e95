"""Heartbeat: the one call to Redis that renews the lease of an instance, and what it returns."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from rtserver.cluster.presence.scripts import HEARTBEAT
from rtserver.cluster.redis.bus import RedisBus


class HeartbeatReply(NamedTuple):
    """Numbers that stand for yes or no are 1 or 0. User and instance ids are as Redis has them."""

    lease_held: int
    """Whether the instance still had its lease."""
    epoch: bytes
    users: int
    """Users that Redis has for this instance."""
    gone: list[bytes]
    """Users who are offline now, whom this instance announces."""
    more: int
    """Whether there is more to clear up after dead instances, or to settle."""
    cursor: bytes
    """Where the check of the online users goes on."""
    repaired: int
    """Keys and entries that were wrong."""
    record_before: bytes
    """The record of the instance until this call."""
    rooms_complete: int
    """Whether the report of rooms is complete in this epoch."""
    rooms_size: int
    """Entries in the report of rooms."""
    live: list[bytes]
    """The instances with a lease."""
    crashes: int
    """How many instances have ended without leaving, since the keys of presence exist."""


async def beat(
    bus: RedisBus,
    key: str,
    instance: str,
    *,
    lease: int,
    grace: int,
    record: bytes,
    cursor: bytes,
    max_users: int,
    rooms_stale: bool,
    first: bool,
) -> HeartbeatReply:
    """Renew the lease; raises `Unavailable`. `lease` and `grace` are in milliseconds.

    With more than `max_users` users Redis removes those of this instance. `rooms_stale`: the report of rooms is no
    longer true. `first`: the first heartbeat of this process; a lease that it finds is that of one that has crashed.
    """
    epoch = secrets.token_hex(8)
    args = (instance, lease, grace, epoch, record, cursor, max_users, int(rooms_stale), int(first))
    return HeartbeatReply(*await bus.call("EVAL", HEARTBEAT, 1, key, *args))
