"""MessagePack of Node: values are preserved, and what JSON cannot carry is converted or refused."""

from datetime import UTC, datetime
from typing import Any

import msgpack as reference
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol import msgpack

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES.filter(lambda value: "inf" not in repr(value)))
def test_values_round_trip(value: Any) -> None:
    assert msgpack.loads(msgpack.dumps(value)) == value


@given(VALUES)
def test_another_implementation_agrees(value: Any) -> None:
    assert reference.unpackb(msgpack.dumps(value), strict_map_key=False) == value


@given(st.binary())
def test_garbage_raises_msgpack_errors_only(data: bytes) -> None:
    try:
        msgpack.loads(data)
    except msgpack.MsgpackError:
        return


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"\xcb\x7f\xf8\0\0\0\0\0\0", None),  # NaN
        (b"\xcb\x7f\xf0\0\0\0\0\0\0", None),  # Infinity
        (b"\xd4\0\0", None),  # `undefined` of an old server
        (b"\xd6\0abcd", b"abcd"),  # an ArrayBuffer
        (b"\xd7\0\0\0\x01\x8c\xc2\x51\xf4\0", "2024-01-01T00:00:00.000Z"),
        (b"\xd7\0" + b"\x7f" * 8, None),  # an invalid date
        (b"\x81\x01\xc3", {"1": True}),
        (b"\xd6\xff\x5a\x4a\xf6\xa5", "2018-01-02T03:04:05.000Z"),
    ],
)
def test_values_outside_json_are_converted(data: bytes, value: Any) -> None:
    assert msgpack.loads(data) == value


@pytest.mark.parametrize(
    "data",
    [b"", b"\xc1", b"\x92\x01", b"\x01\x01", b"\x91" * 100 + b"\xc0", b"\x91" * 100_000, b"\xa1\xff", b"\xd4\x05\0",
     b"\xd4\x01\0", b"\xd7\x02" + bytes(8), b"\x92\xd4\0\0\xd4\x01\0", b"\x92\xd4\0\0\xc7\x01\x02a",
     b"\x92\xd4\0\0\xc8\x00", b"\x92\xd4\0\0\xd7", b"\xd4\0", b"\x92\xd4\0\0\xdb\xff\xff\xff\xffa",
     b"\x81\xc4\x01a\x01", b"\x81\x90\x01", b"\x81\xc0\x01", b"\xdd\xff\xff\xff\xff"],
)  # fmt: skip
def test_unacceptable_messages_are_refused(data: bytes) -> None:
    with pytest.raises(msgpack.MsgpackError):
        msgpack.loads(data)


BUFFER_SIZES = st.sampled_from([0, 1, 2, 4, 8, 16, 17, 300])
MIXED: st.SearchStrategy[tuple[Any, bytes]] = st.one_of(
    st.just((None, b"\xd4\0\0")),
    st.integers(0, 10**12).map(lambda ms: (js_date(ms), b"\xd7\0" + ms.to_bytes(8, "big"))),
    BUFFER_SIZES.flatmap(lambda size: st.binary(min_size=size, max_size=size)).map(
        lambda content: (content, b"\xc8" + len(content).to_bytes(2, "big") + b"\0" + content)
    ),
    st.sampled_from([bytes(1), bytes(8), b"\xd7\0" + bytes(6)]).map(
        lambda content: (content, b"\xc7%c\0%b" % (len(content), content))
    ),
    VALUES.filter(lambda value: "inf" not in repr(value)).map(lambda value: (value, msgpack.dumps(value))),
)


def js_date(milliseconds: int) -> str:
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@given(st.lists(MIXED, min_size=1, max_size=15), st.booleans())
def test_buffers_dates_and_undefined_are_told_apart(items: list[tuple[Any, bytes]], in_large_map: bool) -> None:
    """Whatever stands before them, and also within a map with a long prefix."""
    message = b"%c" % (0x90 + len(items)) + b"".join(encoded for _, encoded in items)
    expected: Any = [value for value, _ in items]
    if in_large_map:
        message, expected = b"\xde\0\x01\xa1a" + message, {"a": expected}
    assert msgpack.loads(message) == expected


@given(st.binary().map(lambda rest: b"\x92\xd4\0\0" + rest))
def test_garbage_after_an_ambiguous_extension_raises_msgpack_errors_only(data: bytes) -> None:
    try:
        msgpack.loads(data)
    except msgpack.MsgpackError:
        return


def test_integers_beyond_64_bit_are_sent_as_floats() -> None:
    assert msgpack.loads(msgpack.dumps({"big": [2**70, 10**400], "small": 1})) == {"big": [2.0**70, None], "small": 1}


@pytest.mark.parametrize("value", ["\ud800", object(), {"a": [lambda: None]}])
def test_a_value_that_cannot_be_sent_raises_a_type_error(value: Any) -> None:
    with pytest.raises(TypeError):
        msgpack.dumps(value)


def test_a_date_arrives_as_text() -> None:
    when = datetime(2026, 11, 22, 15, 4, 5, 123000, tzinfo=UTC)
    assert msgpack.loads(msgpack.dumps(when)) == "2026-11-22T15:04:05.123Z"


def colliding(count: int) -> list[bytes]:
    """Arrays as map keys that all have the same hash, as tuples of integers in Python."""
    whole, p1, p2, p5 = 2**64, 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x27D4EB2F165667C5
    keys: list[bytes] = []
    first = 0
    while len(keys) < count:
        first += 1
        sum_ = (p5 + first * p2) % whole
        sum_ = ((sum_ << 31 | sum_ >> 33) * p1) % whole
        second = (-sum_ * pow(p2, -1, whole)) % whole
        second -= whole if second >= whole // 2 else 0
        if abs(second) < 2**61 - 2 and second != -1:
            keys.append(b"\x92" + msgpack.dumps(first) + msgpack.dumps(second))
    assert len({hash(tuple(reference.unpackb(key))) for key in keys[:100]}) == 1
    return keys


def largest_number_dict(value: Any) -> int:
    """The number of entries of the largest dict in a value, of those with other keys than text."""
    if isinstance(value, dict):
        size = len(value) if any(type(key) is not str for key in value) else 0
        return max(size, *map(largest_number_dict, value.values()), 0)
    return max(map(largest_number_dict, value), default=0) if isinstance(value, list) else 0


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the largest dicts with number keys in what the decoder makes of messages."""
    made: list[int] = []
    plain = msgpack._plain
    monkeypatch.setattr(
        msgpack, "_plain", lambda value, *rest: made.append(largest_number_dict(value)) or plain(value, *rest)
    )
    return made


def collide(count: int) -> list[int]:
    """Integers that a dict looks for in the same place."""
    return [number << 40 for number in range(1, count + 1)]


WAYS = [lambda bomb: bomb, lambda bomb: b"\x91\x81\xa1a" + bomb, lambda bomb: b"\x81" + bomb + b"\x01"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("head", [b"\xde\x07\xd0", b"\xdf\0\0\x07\xd0"])
def test_colliding_keys_are_never_compared(way: Any, head: bytes, decoded: list[int]) -> None:
    """A million bytes of them would block the server for half a minute."""
    bomb = head + b"".join(key + b"\x00" for key in colliding(2000))
    with pytest.raises(msgpack.MsgpackError):
        msgpack.loads(way(bomb))
    assert max(decoded, default=0) <= 15


@pytest.mark.parametrize("keys", [collide(2000), [float(number) for number in collide(2000)]])
def test_numbers_as_keys_of_a_large_map_become_text_first(keys: list[Any], decoded: list[int]) -> None:
    message = msgpack.dumps([{"a": "\xde"}, 0]) [:-1] + b"\xde\x07\xd0" + b"".join(
        msgpack.dumps(key) + b"\x01" for key in keys
    )  # fmt: skip
    if type(keys[0]) is float:
        with pytest.raises(msgpack.MsgpackError, match="key"):
            msgpack.loads(message)
    else:
        assert msgpack.loads(message) == [{"a": "\xde"}, {str(key): 1 for key in keys}]
    assert max(decoded, default=0) <= 15


def array(head: bytes, count: int) -> bytes:
    return head + count.to_bytes(4 if head in (b"\xdd", b"\xdf") else 2, "big")


@pytest.mark.parametrize(
    "message",
    [
        array(b"\xdd", 990_000) + b"\xc0" * 990_000,
        array(b"\xdd", 990_000) + b"\x80" * 990_000,
        array(b"\xdd", 490_000) + b"\x91\xc0" * 490_000,
        array(b"\xdd", 330_000) + b"\x90\xcc\0" * 165_000 + b"\xdc\0\0" * 165_000,
        array(b"\xdd", 300_000) + b"\xdc\0\0" * 300_000,
        array(b"\xdd", 300_000) + b"\xde\0\0" * 300_000,
        array(b"\xdd", 300_000) + b"\xc4\0" * 300_000,
        array(b"\xdd", 300_000) + b"\xc7\0\0" * 300_000,
        array(b"\xdd", 300_000) + b"\xd4\0\0" * 300_000,
        array(b"\xdf", 300_000) + b"\xa0\xc0" * 300_000,
        array(b"\xdc", 60_000) + (array(b"\xdc", 10) + b"\xc0" * 10) * 60_000,
        b"\x9f" * 900_000,
        b"\x90" + b"\x90\xcc\0" * 300_000,
        b"\x90\xde" + b"\xcc" * 900_000,
        b"\xdd\xff\xff\xff\xff\xde",
    ],
    ids=lambda message: message[:8].hex(),
)
def test_a_message_of_too_many_values_is_refused_before_one_is_made(message: bytes, decoded: list[int]) -> None:
    with pytest.raises(msgpack.MsgpackError):
        msgpack.loads(message)
    assert not decoded


@pytest.mark.parametrize(
    "value", [[1.5] * 110_000, ["x" * 30] * 32_000, [{"id": at, "at": [at]} for at in range(20_000)], "x" * 10**6]
)
def test_a_message_as_large_as_a_client_may_send_is_accepted(value: Any) -> None:
    assert msgpack.loads(msgpack.dumps(value)) == value


KEYED = st.recursive(
    st.none() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=40) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=20) | st.dictionaries(st.text() | st.integers(0, 2**64 - 1), inner),
    max_leaves=60,
)


def with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): with_text_keys(item) for key, item in value.items()}
    return [with_text_keys(item) for item in value] if isinstance(value, list) else value


@given(KEYED)
def test_a_scanned_message_is_decoded_like_any_other(value: Any) -> None:
    message = reference.packb([value, b"\xde", None])
    message = message[:-1] + b"\xd4\0\0"  # undefined: the scan cannot be left out
    expected = reference.unpackb(reference.packb(value), strict_map_key=False)
    assert msgpack.loads(message) == [with_text_keys(expected), b"\xde", None]


@pytest.mark.parametrize(
    "data", [b"\x91" * 100_000, b"\xdd\x00\x00\x00\x01" * 100_000, b"\xdf\x00\x00\x00\x01\x01" * 100_000]
)
def test_too_deep_nesting_is_refused(data: bytes) -> None:
    for message in (data, data + b"\xde", data + b"\x01\xdf"):
        with pytest.raises(msgpack.MsgpackError):
            msgpack.loads(message)


def test_large_maps_are_decoded_like_small_ones() -> None:
    value = {f"{at}": [at, {"deep": {str(n): b"\xde\xdf" for n in range(20)}}, "\u07ff"] for at in range(100)}
    assert msgpack.loads(msgpack.dumps(value)) == value
    assert msgpack.loads(b"\xde\x00\x01\x05\xcb\x7f\xf8" + bytes(6)) == {"5": None}
    with pytest.raises(msgpack.MsgpackError, match="nested deeper than 2"):
        msgpack.loads(msgpack.dumps({"a": [[{str(n): n for n in range(20)}]]}), 2)
