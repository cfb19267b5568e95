"""Answers of the cluster that may lack somebody, and say so: a server was silent, or Redis is down."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")


class PartialList(list[T]):
    def __init__(self, items: Iterable[T] = (), *, partial: bool = False) -> None:
        super().__init__(items)
        self.partial = partial


class PartialSet(set[T]):
    def __init__(self, items: Iterable[T] = (), *, partial: bool = False) -> None:
        super().__init__(items)
        self.partial = partial
