"""Whom a broadcast addresses, and how: the value that the operator builds and an adapter carries out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec


class Page(NamedTuple):
    """Of the sockets by id: those after `after`, `limit` at most from each server; others may give all they have."""

    after: str
    limit: int


class Flags(NamedTuple):
    """`volatile`: may be dropped; `local`: this server only; `timeout`: seconds to wait for acks.

    `page`: as much of a list is wanted. `keep`: what is kept of an answer, where answers are collected.
    """

    volatile: bool = False
    local: bool = False
    compress: bool = True
    timeout: float | None = None
    page: Page | None = None
    keep: Callable[[Any], Any] | None = None


NO_FLAGS = Flags()
"""What every target has that was given none."""


# One for every broadcast: a Struct is made in a third of the time of a tuple with names.
class Target(msgspec.Struct, frozen=True):
    """Members of any of `rooms` (none = everybody), without those in any room of `except_`. A sid is a room."""

    rooms: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    flags: Flags = NO_FLAGS


EVERYBODY = Target()
