"""Target of a broadcast: which clients it addresses, and how. The operator builds it and an adapter reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec


class Page(NamedTuple):
    """A page of sockets ordered by id: at most `limit` from each server, with ids greater than `after`.

    Other implementations may return all the sockets that they have.
    """

    after: str
    limit: int


class Flags(NamedTuple):
    """Options of a broadcast.

    `volatile`: it may be dropped. `local`: this server only. `compress`: compress it where WebSockets are compressed.
    `timeout`: seconds to wait for acks. `page`: which part of a list to fetch. `keep`: reduces each collected answer
    to what is stored of it.
    """

    volatile: bool = False
    local: bool = False
    compress: bool = True
    timeout: float | None = None
    page: Page | None = None
    keep: Callable[[Any], Any] | None = None


NO_FLAGS = Flags()
"""The flags of a target that sets none."""


# One is made for every broadcast: a Struct takes a third of the time of a named tuple.
class Target(msgspec.Struct, frozen=True):
    """Members of any of `rooms` (none = all clients), except those in any room of `except_`. A sid is a room."""

    rooms: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    flags: Flags = NO_FLAGS


ALL_CLIENTS = Target()
"""All clients of the namespace."""
