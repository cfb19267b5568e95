"""Number keys: sets and dicts whose keys a sender could make collide are found, at any depth, and counted."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import msgspec
import pytest
from msgspec import inspect

from rtserver.protocol.number_keys import has_number_keys, number_keys


class Colour(enum.Enum):
    RED = "red"


class Node(msgspec.Struct, rename="camel"):
    own_seats: set[int] = msgspec.field(default_factory=set)
    children: list[Node] = []


class Plain(msgspec.Struct):
    name: str
    children: list[Plain] = []


@dataclasses.dataclass
class Point:
    marks: dict[float, str]


class Pair(TypedDict):
    ids: frozenset[uuid.UUID]


class Seat(NamedTuple):
    row: int
    free: set[int]


@pytest.mark.parametrize(
    "kind",
    [set[int], frozenset[float], dict[int, str], set[uuid.UUID], set[datetime.datetime], set[Decimal],
     set[tuple[int, int]], list[set[int]], dict[str, dict[int, Any]], tuple[str, set[int]], tuple[set[int], ...],
     set[int] | None, Annotated[set[int], msgspec.Meta(min_length=1)], set[str | int], Node,
     list[Node], Point, Pair, Seat],
)  # fmt: skip
def test_types_with_keys_that_may_collide_are_found(kind: Any) -> None:
    assert has_number_keys(inspect.type_info(kind))


@pytest.mark.parametrize(
    "kind", [int, str, Any, list[int], set[str], dict[str, int], set[bytes], set[Colour], set[bool], Plain, Colour,
             dict[Literal[1, 2], str], tuple[int, ...], dict[str, Plain], set[str | None]],
)  # fmt: skip
def test_other_types_cost_nothing(kind: Any) -> None:
    assert not has_number_keys(inspect.type_info(kind))


@pytest.mark.parametrize(
    ("kind", "value", "count"),
    [
        (set[int], [1, 2, 3], 3),
        (set[int], {"not": "a list"}, 0),
        (set[int], "text", 0),
        (dict[int, set[int]], {"1": [1, 2], "2": [3]}, 5),
        (dict[str, set[int]], {"1": [1, 2], "2": None}, 2),
        (list[set[int]], [[1, 2], [3], 4], 3),
        (set[int] | None, [1], 1),
        (tuple[str, set[int]], ["a", [1, 2], "more"], 2),
        (Node, {"ownSeats": [1], "children": [{"ownSeats": [2, 3]}, {}]}, 3),
        (Point, {"marks": {"1.5": "a"}}, 1),
        (Pair, {"ids": ["a", "b"]}, 2),
        (Seat, [1, [2, 3]], 2),
        (set[str], ["a"], 0),
    ],
)
def test_keys_are_counted_before_the_value_is_converted(kind: Any, value: Any, count: int) -> None:
    assert number_keys(value, inspect.type_info(kind)) == count
