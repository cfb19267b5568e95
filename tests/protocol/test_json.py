"""JSON as rtserver takes and gives it."""

import dataclasses
import datetime
import json
import math
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.json import MAX_DEPTH, JsonError, dumps, loads, loads_mended

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(VALUES)
def test_what_is_sent_comes_back_the_same(value):
    assert loads(dumps(value)) == value


@given(VALUES)
def test_any_json_parser_reads_what_is_sent(value):
    assert json.loads(dumps(value)) == value


@given(st.text() | st.binary())
def test_garbage_is_refused_and_nothing_else_happens(text):
    try:
        value = loads(text)
    except JsonError:
        return
    assert dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        "NaN", "-NaN", "Infinity", "-Infinity", '{"price":NaN}', "1e400", "-1e400", '"\\ud800"', '"\\udc00\\ud800"',
        '"\ud800"', "[1,]", "{'a':1}", "01", "+1", ".5", "1.", "nul", "", " ", '"\x00"', "1 2", "\ufeff1", b"\xff",
        b'"\xc3"', "/* no */ 1", "[" * 100_000, '{"a":' * 100_000,
    ],
)  # fmt: skip
def test_what_the_standard_does_not_allow_is_refused(text):
    with pytest.raises(JsonError):
        loads(text)


HALVES = st.text(st.sampled_from('\ud83d\ude00\\"ud8').map(str) | st.characters(), max_size=20)


@given(HALVES)
def test_half_an_emoji_is_replaced_and_nothing_else(text):
    """As JSON.stringify writes it: what has no UTF-8 is escaped. Others may write capitals."""
    assert loads_mended('["\\uD83D"]') == ["\ufffd"]
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert loads_mended(json.dumps([text])) == [whole]
    assert loads_mended(json.dumps({text: text})) == {whole: whole}


@pytest.mark.parametrize("text", ['["\\ud83d",NaN]', '["\\ud83"]', '"\\', '["\\ud83d"', "[" * 100_000 + '"\\ud83d"'])
def test_what_is_wrong_otherwise_is_not_mended(text):
    with pytest.raises(JsonError):
        loads_mended(text)


def nested(depth, left="[", right="]"):
    return left * depth + right * depth


def test_a_nesting_that_is_too_deep_is_refused():
    assert loads(nested(MAX_DEPTH))
    with pytest.raises(JsonError, match="deeper"):
        loads(nested(MAX_DEPTH + 1))
    assert loads('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)
    with pytest.raises(JsonError, match="deeper"):
        loads('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))


def test_many_brackets_side_by_side_are_not_deep():
    assert loads("[" + ",".join(["[]"] * 1000) + "]") == [[]] * 1000
    assert loads(json.dumps("[" * 1000)) == "[" * 1000


def test_integers_beyond_64_bit_are_read_as_javascript_reads_them():
    assert loads(str(2**64)) == float(2**64)
    assert isinstance(loads("9" * 100), float)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_js_cannot_parse_goes_out_as_null(value):
    assert dumps({"price": value, "list": [value]}) == b'{"price":null,"list":[null]}'
    # Also where the big integer takes the slow way.
    assert json.loads(dumps({"big": 2**70, "price": value, "list": (value,)})) == {
        "big": 2**70, "price": None, "list": [None],
    }  # fmt: skip


def test_integers_of_any_size_can_be_sent():
    assert dumps([2**70, -(2**70)]) == f"[{2**70},{-(2**70)}]".encode()


@dataclasses.dataclass
class Point:
    x: int


class Named(msgspec.Struct):
    name: str


def test_values_of_python_have_a_json_form():
    day = datetime.datetime(2026, 11, 22, 15, 4, 5, tzinfo=datetime.UTC)
    id = uuid.UUID(int=1)
    sent = dumps({"when": day, "id": id, "point": Point(1), "named": Named("a"), "set": {1}, "tuple": (1, 2), 3: None})
    assert json.loads(sent) == {
        "when": "2026-11-22T15:04:05+00:00", "id": str(id), "point": {"x": 1}, "named": {"name": "a"},
        "set": [1], "tuple": [1, 2], "3": None,
    }  # fmt: skip
    assert json.loads(dumps({"big": 2**70, "named": Named("a"), "point": Point(1)}))["named"] == {"name": "a"}


def circular():
    value: list = []
    value.append(value)
    return value


def deep():
    value: list = []
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", bytearray(b"x"), memoryview(b"x"), "\ud800", {"\ud800": 1}, [2**70, "\udc00"], circular(),
     {"big": 2**70, "self": circular()}, lambda: None, Named("\ud800")],
)  # fmt: skip
def test_what_cannot_be_sent_raises_where_it_was_emitted(value):
    with pytest.raises(TypeError):
        dumps(value)


def test_a_depth_that_no_parser_takes_raises_and_does_not_overflow():
    with pytest.raises(TypeError):
        dumps(deep())
