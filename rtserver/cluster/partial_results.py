"""Answers of the cluster that may lack somebody, and say so: a server was silent, or Redis is down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class PartialList(list[T]):
    """`heard`: the rtserver instances whose answer is in it, where that is known; others answer without a name."""

    def __init__(self, items: Iterable[T] = (), *, partial: bool = False, heard: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.partial = partial
        self.heard = frozenset(heard)


class PartialSet(set[T]):
    """The same as a set."""

    def __init__(self, items: Iterable[T] = (), *, partial: bool = False, heard: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.partial = partial
        self.heard = frozenset(heard)
