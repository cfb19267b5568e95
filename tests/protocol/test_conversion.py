"""Conversion of values: null and whole floats count as what they mean, nothing else is converted."""

import dataclasses
import enum
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Meta, UnsetType

from rtserver.protocol.conversion import convert

Limit = Annotated[int, Meta(ge=1, le=100)]


class Page(msgspec.Struct, rename="camel"):
    page_size: Limit = 50
    newest: bool = True
    after: int | None = None
    label: str | None = "none"
    names: list[str] | UnsetType = UNSET
    note: Any = "empty"


class Strict(msgspec.Struct, forbid_unknown_fields=True):
    page: Page
    pages: list[Page] = []
    by_name: dict[str, Page | int] = {}


class Circle(msgspec.Struct, tag="circle"):
    radius: int = 1


class Square(msgspec.Struct, tag="square"):
    side: int = 2


class Tree(msgspec.Struct):
    size: int = 0
    children: list["Tree"] = []


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: int
    y: int = 7


class Fields(TypedDict):
    a: int
    b: NotRequired[int]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (Page, {"pageSize": None, "newest": None, "names": None}, Page()),
        (Page, {"pageSize": 20.0, "after": None}, Page(20)),
        (Page, {"label": None, "note": None}, Page(label=None, note=None)),
        (Page, {"after": 1e15, "note": 5.0}, Page(after=10**15, note=5.0)),
        (Strict, {"page": {"pageSize": None}, "pages": [{}, {"pageSize": 3.0}]}, Strict(Page(), [Page(), Page(3)])),
        (Strict, {"page": {}, "by_name": {"a": 5.0, "b": {"newest": None}}}, Strict(Page(), [], {"a": 5, "b": Page()})),
        (Circle | Square, {"type": "square", "side": None}, Square()),
        (Circle | Square, {"type": "circle", "radius": 3.0}, Circle(3)),
        (Tree, {"size": 1.0, "children": [{"children": [{"size": None}]}]}, Tree(1, [Tree(0, [Tree()])])),
        (Point, {"x": 1.0, "y": None}, Point(1)),
        (Fields, {"a": 1.0, "b": None}, {"a": 1}),
        (int, -0.0, 0), (int, 2.0**63, 2**63), (int | None, 5.0, 5), (int | str, 5.0, 5), (Limit, 100.0, 100),
        (float, 5.0, 5.0), (int | float, 5.0, 5.0), (list[int], [1, 2.0], [1, 2]), (set[int], [1.0], {1}),
        (tuple[int, str], [1.0, "a"], (1, "a")), (tuple[int, ...], [1.0, 2], (1, 2)),
        (dict[str, int], {"a": 1.0}, {"a": 1}),
        (Literal[1, 2], 1.0, 1), (Level, 1.0, Level.LOW), (dict[int, int], {"1": 1.0}, {1: 1}),
        (list[list[Limit]], [[1.0], [2]], [[1], [2]]),
    ],
)  # fmt: skip
def test_what_means_the_same_is_accepted(kind: Any, value: Any, expected: Any) -> None:
    converted = convert(value, kind)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (int, 50.5), (int, "7"), (int, True), (int, 1e300), (int, float("nan")), (int, float("inf")), (int, None),
        (Limit, 0.0), (Limit, 101.0), (bool, 1), (bool, 1.0), (bool, 0), (str, 5), (str, 5.0), (float, "5.0"),
        (Page, {"pageSize": "7"}), (Page, {"pageSize": 7.5}), (Page, {"pageSize": True}), (Page, {"newest": 1.0}),
        (Page, {"names": [None]}), (Page, []), (Strict, {"page": None}), (Strict, {}),
        (Strict, {"page": {}, "x": None}),
        (Strict, {"page": {}, "by_name": {"a": None}}), (Point, {"x": None}), (Fields, {"a": None}),
        (list[int], {}), (list[int], None), (dict[str, int], []), (tuple[int, int], [1.0]), (Literal["1"], 1.0),
        (Circle | Square, {"radius": 3.0}), (Circle | Square, {"type": "oval", "side": None}),
    ],
)  # fmt: skip
def test_what_means_something_else_is_rejected(kind: Any, value: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        convert(value, kind)


def test_the_message_names_the_field_that_is_wrong() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"got `str` - at `\$\.pages\[1\]\.pageSize`"):
        convert({"page": {"pageSize": None}, "pages": [{}, {"pageSize": "7"}]}, Strict)


def test_the_given_value_stays_as_it_is() -> None:
    value = {"page": {"pageSize": None}, "pages": [{"after": 3.0}]}
    convert(value, Strict)
    assert value == {"page": {"pageSize": None}, "pages": [{"after": 3.0}]}


def test_types_that_cannot_be_hashed_are_converted_too() -> None:
    assert convert(5.0, Annotated[int, Meta(extra={"a": []}), ["unhashable"]]) == 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["page", "pages", "by_name", "pageSize", "type", "a"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    JSON,
    st.sampled_from([Strict, Page, Tree, Point, Fields, Circle | Square, list[Limit], dict[str, Level]]),
)
def test_no_value_raises_anything_but_validation_errors(value: Any, kind: Any) -> None:
    try:
        convert(value, kind)
    except msgspec.ValidationError:
        return
