"""Redis keys of presence, and the scripts that change them atomically.

With P the prefix (KEYS[1]; its braces keep all keys in one slot of a Redis Cluster):
    P:leases         zset  instance -> end of its lease (ms); 0 for an instance that has left
    P:instance:<i>   text  the record of instance i (JSON); expires with the lease
    P:on:<i>         hash  user -> number of devices of the user on instance i
    P:online         zset  user -> online since (ms): the users that were announced
    P:leaving        zset  user -> when to be announced offline (ms), unless back by then
    P:in:<i>         zset  members of rooms on instance i: see `room_scripts`
    P:crashes        text  the number of instances whose lease ended, or that came back within it, without having left
    P:epoch          text  changes when Redis has lost its data, or some of it was removed
Rules:
1. Every transition is one script, so exactly one server gets the reply that makes it announce the change.
2. The only clock is that of Redis: differences between the clocks of the instances do not matter.
3. Counts are set, never added to, so a repeated report does no harm.
4. A key of a wrong type is removed and the epoch changed, whereupon every instance reports its users again.
5. When no instance at all has renewed its lease for half a lease, Redis was away (or its clock jumped): all leases
   begin anew, so that no instance is declared dead for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from rtserver.cluster.redis.lua import load_script
from rtserver.cluster.redis.names import RedisNames

T = TypeVar("T")

KEY = RedisNames().presence
PACKAGE = "rtserver.cluster.presence"
MAX_FOREIGN_USERS = 50_000
"""More users than this in P:on:<me>, beyond those that were reported, were written by somebody else: the key is
removed, not read name by name."""
CHUNK = 100
"""Users in one call: Redis does nothing else while a script runs."""

REPORT_DEVICES = load_script(PACKAGE, "prelude", "report_devices")
SETTLE = load_script(PACKAGE, "prelude", "settle_function", "settle")
HEARTBEAT = load_script(PACKAGE, "prelude", "settle_function", "heartbeat")
LEAVE = load_script(PACKAGE, "prelude", "leave")
INSTANCES = load_script(PACKAGE, "prelude", "instances")
DEVICES = load_script(PACKAGE, "prelude", "devices")


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split into parts of at most `CHUNK` items."""
    return (items[i : i + CHUNK] for i in range(0, len(items), CHUNK))
