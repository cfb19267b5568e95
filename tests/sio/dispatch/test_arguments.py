"""Event arguments either have the annotated type or are `invalid_payload`."""

import dataclasses
import datetime
import decimal
import enum
import typing
import uuid
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtserver.errors import InvalidPayload
from rtserver.protocol.number_keys import MAX_KEYS
from rtserver.sio.dispatch.arguments import Arguments
from tests.protocol.test_packets import WITH_BYTES


class Colour(enum.Enum):
    RED = "red"


class Inner(msgspec.Struct, rename="camel"):
    order_id: int


class Outer(msgspec.Struct):
    room: Annotated[str, msgspec.Meta(min_length=1, max_length=5, pattern="^[a-z]+$")]
    inner: Inner | None = None
    rest: list[Inner] = []


class Checked(msgspec.Struct):
    low: int
    high: int

    def __post_init__(self):
        if self.low > self.high:
            raise ValueError("low is above high")


@dataclasses.dataclass
class Point:
    x: float


class Pair(typing.TypedDict):
    a: int


KINDS = [
    str, int, float, bool, bytes, bytearray, None, list, dict, tuple, set, list[int], dict[str, int], dict[int, str],
    set[Any], frozenset[str], tuple[int, str], tuple[int, ...], set[tuple[int, ...]], int | None, str | int | None,
    Literal["a", "b"], Colour, Inner, Outer, Checked, Point, Pair, datetime.datetime, datetime.date, datetime.timedelta,
    uuid.UUID, decimal.Decimal, Annotated[int, msgspec.Meta(ge=0, le=10)], msgspec.Raw, Any, object,
    list[dict[str, list[Outer]]],
]  # fmt: skip


def taking(kind):
    def handler(self, client, value): ...

    handler.__annotations__ = {"value": kind}
    return Arguments(handler, 2)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(value=WITH_BYTES | st.sampled_from([2**64, -(2**70), 1e308, "9" * 5000, [[1]], [{}], {"low": 2, "high": 1}]))
def test_no_value_raises_anything_but_invalid_payload(kind, value):
    try:
        (converted,) = taking(kind).convert([value])
    except InvalidPayload:
        return
    if kind in (str, int, float, bool, bytes, Inner, Outer, Checked, Point):
        assert type(converted) is kind


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (str, "x", "x"), (int, 5, 5), (float, 5, 5.0), (bool, True, True), (bytes, b"x", b"x"), (None, None, None),
        (dict[int, str], {"1": "x"}, {1: "x"}), (Colour, "red", Colour.RED),
        (Inner, {"orderId": 1, "new": 2}, Inner(1)),
        (Outer, {"room": "a", "rest": [{"orderId": 2}]}, Outer("a", None, [Inner(2)])), (Any, {"b": b"x"}, {"b": b"x"}),
        (dict[str, bytes], {"b": b"x"}, {"b": b"x"}), (uuid.UUID, str(uuid.UUID(int=5)), uuid.UUID(int=5)),
    ],
)  # fmt: skip
def test_valid_values_are_converted(kind, value, expected):
    assert taking(kind).convert([value]) == [expected]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (str, 1), (str, b"x"), (str, None), (int, "1"), (int, True), (int, 1.5), (bool, 1), (bytes, "x"), (bytes, [1]),
        (Inner, []), (Inner, {}), (Inner, {"orderId": "1"}), (Outer, {"room": ""}), (Outer, {"room": "toolong"}),
        (Outer, {"room": "A"}), (Checked, {"low": 2, "high": 1}), (set[Any], [[1]]), (list[int], {"0": 1}),
        (Literal["a"], "b"), (Colour, "blue"),
    ],
)  # fmt: skip
def test_invalid_values_are_rejected(kind, value):
    with pytest.raises(InvalidPayload, match="Argument 1"):
        taking(kind).convert([value])


def test_the_message_names_the_faulty_field():
    with pytest.raises(InvalidPayload, match=r"Argument 1: Expected `int`, got `str` - at `\$\.rest\[0\]\.orderId`"):
        taking(Outer).convert([{"room": "a", "rest": [{"orderId": "x"}]}])


def test_missing_arguments_are_rejected_and_surplus_ones_ignored():
    def handler(self, client, a: int, b: str = "default"): ...

    arguments = Arguments(handler, 2)
    assert arguments.convert([1]) == [1]
    assert arguments.convert([1, "x"]) == [1, "x"]
    for surplus in ([None], [None, None], [3], [{"any": b"thing"}, [], "y"]):
        assert arguments.convert([1, "x", *surplus]) == [1, "x"]
    for wrong in ([], [None], [None, "x"]):
        with pytest.raises(InvalidPayload, match=r"[Aa]rgument"):
            arguments.convert(wrong)
    assert Arguments(lambda self, client: None, 2).convert([None, {}]) == []


EMPTY = Outer("empty")


def test_null_takes_the_default():
    def handler(self, client, a: int = 5, b: Outer = EMPTY, c: str | None = "kept", d=7, e: Any = 8): ...

    arguments = Arguments(handler, 2)
    assert arguments.convert([None]) == [5]
    assert arguments.convert([None] * 5) == [5, EMPTY, None, None, None]
    assert arguments.convert([2.0, {"room": "a", "rest": None}]) == [2, Outer("a")]
    with pytest.raises(InvalidPayload, match="Argument 2"):
        arguments.convert([None, {"room": None}])


@pytest.mark.parametrize("value", [50.5, "50", True, [], {}, 1e300, float("inf")])
def test_a_default_does_not_hide_a_wrong_value(value):
    def handler(self, client, limit: int = 50): ...

    with pytest.raises(InvalidPayload, match="Argument 1"):
        Arguments(handler, 2).convert([value])


def test_an_empty_list_counts_as_no_payload_where_none_is_needed():
    class Filter(msgspec.Struct):
        limit: int = 5

    def handler(self, client, a: Filter = Filter(7), b: dict[str, int] = {}, c: list[int] = [1]): ...  # noqa: B006, B008

    assert Arguments(handler, 2).convert([[], [], []]) == [Filter(7), {}, []]
    for kind in (Filter, dict[str, int], Inner):
        with pytest.raises(InvalidPayload, match="Argument 1"):
            taking(kind).convert([[]])
    with pytest.raises(InvalidPayload, match="Argument 1"):
        Arguments(handler, 2).convert([[1]])


def test_star_args_take_the_rest_unconverted():
    def handler(self, client, a: int, *rest): ...

    assert Arguments(handler, 2).convert([1, "x", {"y": b"z"}]) == [1, "x", {"y": b"z"}]
    assert Arguments(lambda *args: None, 2).convert([1]) == [1]


def test_the_client_may_be_annotated_with_a_name_that_only_type_checkers_know():
    def handler(self, client: "OnlyForTypeCheckers", a: "int") -> "AlsoUnknown": ...  # noqa: F821

    with pytest.raises(InvalidPayload):
        Arguments(handler, 2).convert(["x"])


def needs_keyword(self, client, *, needed): ...


def takes_too_few(self): ...


def asks_the_impossible(self, client, value: set[int] | list[int]): ...


@pytest.mark.parametrize("handler", [needs_keyword, takes_too_few, asks_the_impossible])
def test_a_handler_that_could_never_be_called_fails_at_definition(handler):
    with pytest.raises(TypeError, match=handler.__name__):
        Arguments(handler, 2)


class Seats(msgspec.Struct):
    free: set[int] = set()


@pytest.mark.parametrize(
    ("kind", "wrapped"),
    [
        (set[int], list),
        (dict[int, int], lambda numbers: {f"{number}": 0 for number in numbers}),
        (Seats, lambda numbers: {"free": list(numbers)}),
        (list[set[int]], lambda numbers: [[number] for number in numbers]),
    ],
)
def test_keys_that_a_client_could_make_collide_are_bounded(kind, wrapped):
    def handler(client, value: kind, rest: str = ""): ...

    arguments = Arguments(handler, 1)
    assert arguments.convert([wrapped(range(MAX_KEYS))])
    with pytest.raises(InvalidPayload, match="Argument 1: more than 4096 numbers as keys"):
        arguments.convert([wrapped(range(MAX_KEYS + 1))])
    with pytest.raises(InvalidPayload):
        arguments.convert([])
