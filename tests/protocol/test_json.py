"""Strict JSON: which text is accepted, and what values are sent as."""

import dataclasses
import datetime
import json
import math
import uuid

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol import json as json_module
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
def test_values_round_trip(value):
    assert loads(dumps(value)) == value


@given(VALUES)
def test_every_json_parser_reads_the_output(value):
    assert json.loads(dumps(value)) == value


@given(st.text() | st.binary())
def test_garbage_raises_json_errors_only(text):
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
def test_text_outside_the_standard_is_refused(text):
    with pytest.raises(JsonError):
        loads(text)


HALVES = st.text(st.sampled_from('\ud83d\ude00\\"ud8').map(str) | st.characters(), max_size=20)


@given(HALVES)
def test_only_a_lone_surrogate_is_replaced(text):
    """JSON.stringify escapes lone surrogates. Other encoders may write upper-case hex digits."""
    assert loads_mended('["\\uD83D"]') == ["\ufffd"]
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert loads_mended(json.dumps([text])) == [whole]
    assert loads_mended(json.dumps({text: text})) == {whole: whole}


@pytest.mark.parametrize("text", ['["\\ud83d",NaN]', '["\\ud83"]', '"\\', '["\\ud83d"', "[" * 100_000 + '"\\ud83d"'])
def test_other_errors_are_not_repaired(text):
    with pytest.raises(JsonError):
        loads_mended(text)


def nested(depth, left="[", right="]"):
    return left * depth + right * depth


def test_too_deep_nesting_is_refused():
    assert loads(nested(MAX_DEPTH))
    with pytest.raises(JsonError, match="deeper"):
        loads(nested(MAX_DEPTH + 1))
    assert loads('{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH)
    with pytest.raises(JsonError, match="deeper"):
        loads('{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1))


def test_many_brackets_side_by_side_are_not_deep():
    assert loads("[" + ",".join(["[]"] * 1000) + "]") == [[]] * 1000
    assert loads(json.dumps("[" * 1000)) == "[" * 1000


def test_integers_beyond_64_bit_become_floats_as_in_javascript():
    assert loads(str(2**64)) == float(2**64)
    assert isinstance(loads("9" * 100), float)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinities_are_sent_as_null(value):
    assert dumps({"price": value, "list": [value]}) == b'{"price":null,"list":[null]}'
    # Also where a big integer needs the slow encoder.
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


def test_python_types_are_converted():
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
def test_a_value_that_cannot_be_sent_raises_a_type_error(value):
    with pytest.raises(TypeError):
        dumps(value)


def test_extreme_nesting_raises_a_type_error():
    with pytest.raises(TypeError):
        dumps(deep())


def test_text_of_many_escapes_is_not_mended_one_by_one():
    """A client could keep the server busy with one half of an emoji in a megabyte of line breaks."""
    text = '["\\ud83d' + "\\n\\ud83d\\ude00\\u00e9" * 1000 + '"]'
    assert loads_mended(text) == ["\ufffd" + "\n\U0001f600\u00e9" * 1000]
    assert len(list(json_module._LONE.finditer(text))) == 1


HIGH, LOW, ESCAPED = "\\ud83d", "\\uDE00", "\\\\"


@pytest.mark.parametrize(
    ("escapes", "mended"),
    [
        (HIGH + LOW, "\U0001f600"),
        (LOW + HIGH, "\ufffd\ufffd"),
        (HIGH + HIGH + LOW, "\ufffd\U0001f600"),
        (HIGH + LOW + LOW, "\U0001f600\ufffd"),
        (HIGH + ESCAPED + LOW, "\ufffd\\\ufffd"),
        (ESCAPED + HIGH[1:] + LOW, "\\ud83d\ufffd"),
        (ESCAPED + HIGH, "\\\ufffd"),
        (ESCAPED * 2 + HIGH[1:] + HIGH, "\\\\ud83d\ufffd"),
        ("\\n" + HIGH + "\\n" + LOW, "\n\ufffd\n\ufffd"),
        (HIGH + "n" + LOW.upper().replace("U", "u"), "\ufffdn\ufffd"),
    ],
)
def test_only_lone_surrogates_are_replaced(escapes, mended):
    assert loads_mended(f'["{escapes}"]') == [mended]
    assert loads_mended(f'["{LOW}{escapes}"]') == [f"\ufffd{mended}"]


@pytest.mark.parametrize("text", ['["\\ud83d', '["\\ud83d\n"]', '["\\ud83d"]]', "[" * 2000 + '"\\ud83d"' + "]" * 2000])
def test_what_is_wrong_besides_is_not_mended(text):
    with pytest.raises(JsonError):
        loads_mended(text)


@pytest.mark.parametrize("inner", ["[]", "{}", "0", '"["', '{"a":{}}'])
def test_the_depth_of_wide_values_is_exact(inner):
    levels = 3 if inner == '{"a":{}}' else 2 if inner in ("[]", "{}") else 1
    wide = "[" + ",".join([inner] * 100) + "]"
    assert len(loads(wide, levels)) == 100
    with pytest.raises(JsonError, match="nested deeper"):
        loads(f"[{wide},{wide}]", levels)
