"""Partial results: lists and sets that say whether the part of a server is missing (it hangs, or Redis is down)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class PartialList(list[T]):
    """`responders`: ids of the instances whose part is in it, where known; servers of Node do not name themselves."""

    def __init__(self, items: Iterable[T] = (), *, partial: bool = False, responders: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.partial = partial
        self.responders = frozenset(responders)


class PartialSet(set[T]):
    """The same as a set."""

    def __init__(self, items: Iterable[T] = (), *, partial: bool = False, responders: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.partial = partial
        self.responders = frozenset(responders)
