"""Packets of the msgpack parser: they decode to the same as those of the text parser, and garbage is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol.msgpack_packets import Head, decode, encode, head
from rtserver.protocol.packets import (
    ACK,
    CONNECT,
    DISCONNECT,
    EVENT,
    MAX_CONNECT_LENGTH,
    MAX_NAMESPACE_LENGTH,
    RESERVED_EVENTS,
    Packet,
    PacketError,
)
from tests.protocol.test_packets import NAMESPACES, WITH_BYTES

pack = msgpack.packb


@given(NAMESPACES, st.none() | st.integers(0, 2**64 - 1), st.lists(WITH_BYTES, max_size=4))
def test_events_round_trip(namespace, id, args):
    assert decode(encode(EVENT, namespace, ["news", *args], id)) == Packet(EVENT, namespace, ["news", *args], id)


@given(NAMESPACES, st.integers(0, 2**64 - 1), st.lists(WITH_BYTES, max_size=4))
def test_acks_round_trip(namespace, id, args):
    assert decode(encode(ACK, namespace, args, id)) == Packet(ACK, namespace, args, id)


@given(st.binary() | WITH_BYTES.map(pack) | st.dictionaries(st.sampled_from(["type", "nsp", "id", "data"]),
       st.integers(-1, 9) | st.just("/") | WITH_BYTES).map(pack))  # fmt: skip
def test_garbage_raises_packet_errors_only(message):
    try:
        packet = decode(message)
    except PacketError:
        return
    assert packet.type in range(4)


@pytest.mark.parametrize(
    ("fields", "packet"),
    [
        ({"type": 0, "nsp": "/"}, Packet(CONNECT, "/")),
        ({"type": 0, "nsp": "/", "data": None}, Packet(CONNECT, "/")),
        ({"type": 0, "nsp": "/chat", "data": {"token": "t"}}, Packet(CONNECT, "/chat", {"token": "t"})),
        ({"type": 1, "nsp": "/"}, Packet(DISCONNECT, "/")),
        ({"type": 2, "nsp": "/", "data": ["a", b"1"], "options": {"compress": True}}, Packet(EVENT, "/", ["a", b"1"])),
        ({"type": 2, "nsp": "/", "data": [5], "id": 0}, Packet(EVENT, "/", [5], 0)),
        ({"type": 2, "nsp": "/", "data": ["a", {"_placeholder": True, "num": 7}]},
         Packet(EVENT, "/", ["a", {"_placeholder": True, "num": 7}])),
        ({"type": 3, "nsp": "/", "data": [], "id": 999999999999999}, Packet(ACK, "/", [], 999999999999999)),
        ({"type": 3, "nsp": "/", "data": ["x"]}, Packet(ACK, "/", ["x"])),
        ({"type": 3, "nsp": "/", "data": [], "id": 2**64 - 1}, Packet(ACK, "/", [], 2**64 - 1)),
        ({"type": 2.0, "nsp": "/", "data": ["a"], "id": 1e20}, Packet(EVENT, "/", ["a"], 10**20)),
        ({"type": 2, "nsp": "/", "data": ["a"], "id": -1}, Packet(EVENT, "/", ["a"], -1)),
        *(({"type": 2, "nsp": "/", "data": data}, Packet(EVENT, "/"))
          for data in ([], [{}], [None], [True], [["a"]], [b"a"])),
    ],
)  # fmt: skip
def test_valid_packets(fields, packet):
    assert decode(pack(fields)) == packet


UNDEFINED = msgpack.ExtType(0, b"\0")


@pytest.mark.parametrize(
    ("fields", "packet"),
    [
        ({"type": 1, "nsp": "/", "data": UNDEFINED, "id": UNDEFINED}, Packet(DISCONNECT, "/")),
        ({"type": 2.0, "nsp": "/", "data": ["a", UNDEFINED], "id": UNDEFINED}, Packet(EVENT, "/", ["a", None])),
    ],
)
def test_undefined_is_nothing(fields, packet):
    assert decode(pack(fields)) == packet


def test_the_payload_is_decoded_when_it_is_wanted():
    undecodable = b"\x92\xa1a\xd4\x05\0"
    packet = b"\x83\xa4type\x02\xa3nsp\xa2/t\xa4data" + undecodable
    assert head(packet) == Head(EVENT, "/t", None, undecodable)
    with pytest.raises(PacketError):
        decode(packet)


EVENT_FIELDS = {"type": 2, "nsp": "/", "data": ["a"]}


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\xc1", b"\x80", pack([]), pack("2"), pack(EVENT_FIELDS) + b"\0", pack(EVENT_FIELDS)[:-1],
        *(pack({**EVENT_FIELDS, "type": kind}) for kind in (-1, 5, 6, 2.5, "2", True, None, 2**60, 1e300)),
        *(pack({**EVENT_FIELDS, "nsp": name}) for name in ("", "chat", None, 5, b"/", "/a,b", "/" * 1000)),
        *(pack({**EVENT_FIELDS, "data": data}) for data in (None, {}, "a", b"a")),
        *(pack({**EVENT_FIELDS, "data": [name]}) for name in sorted(RESERVED_EVENTS)),
        *(pack({**EVENT_FIELDS, "id": id}) for id in (1.5, "1", True, 1e200, [], [0] * 100_000, 10.0**100)),
        pack({"type": 0, "nsp": "/", "data": []}), pack({"type": 0, "nsp": "/", "data": "token"}),
        pack({"type": 0, "nsp": "/", "data": {"token": "x" * MAX_CONNECT_LENGTH}}),
        pack({"type": 1, "nsp": "/", "data": {}}), pack({"type": 1, "nsp": "/", "data": []}),
        pack({"type": 3, "nsp": "/", "data": {}, "id": 1}), pack({"type": 3, "nsp": "/", "id": 1}),
        pack({"type": 4, "nsp": "/", "data": {"message": "no"}}),
        pack({"type": 2, "nsp": "/" + "x" * MAX_NAMESPACE_LENGTH, "data": ["a"]}),
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data" + b"\x91" * 100_000,
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\xdd\xff\xff\xff\xff",
        b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x91\xa1\xff",
    ],
)  # fmt: skip
def test_a_violated_rule_is_an_error(message):
    with pytest.raises(PacketError):
        decode(message)


def nested(levels):
    value = "x"
    for _ in range(levels):
        value = [value]
    return value


def test_the_depth_is_that_of_the_text_parser():
    event = {"type": 2, "nsp": "/", "data": ["a", nested(63)]}
    assert decode(pack(event)).data[1] == nested(63)
    with pytest.raises(PacketError):
        decode(pack({**event, "data": ["a", nested(64)]}))
    with pytest.raises(PacketError):
        decode(pack({**event, "data": ["a", nested(3)]}), max_depth=3)


def test_values_of_a_browser_are_converted_as_by_json():
    head = b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1a"
    assert decode(head + b"\xcb\x7f\xf8\0\0\0\0\0\0").data == ["a", None]  # NaN
    assert decode(head + b"\xd4\0\0").data == ["a", None]  # undefined
    assert decode(head + b"\xd7\0\0\0\x01\x8c\xc2\x51\xf4\0").data == ["a", "2024-01-01T00:00:00.000Z"]  # a Date
    assert decode(head + b"\xc7\x08\0\xff\0\0\0\0\0\0\0").data == ["a", b"\xff\0\0\0\0\0\0\0"]  # an ArrayBuffer
    assert decode(head + b"\xc7\x08\0" + bytes(8)).data == ["a", bytes(8)]
    assert decode(head + b"\xc7\x01\0\0").data == ["a", b"\0"]
    assert decode(head + b"\xc7\x03\0abc").data == ["a", b"abc"]


class Order(msgspec.Struct, rename="camel"):
    order_id: str
    at: datetime


def test_output_is_converted_as_by_json_except_bytes():
    at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    data = ["a", Order("1", at), float("nan"), (1, {2: float("inf")}), 2**80, bytearray(b"x"), memoryview(b"y")]
    assert msgpack.unpackb(encode(EVENT, "/", data)) == {
        "type": 2, "nsp": "/",
        "data": ["a", {"orderId": "1", "at": "2024-01-02T03:04:05Z"}, None, [1, {"2": None}], float(2**80), b"x", b"y"],
    }  # fmt: skip
    assert msgpack.unpackb(encode(DISCONNECT, "/chat")) == {"type": 1, "nsp": "/chat"}


@pytest.mark.parametrize("value", [object(), "\ud800", {("a",): 1}])
def test_a_value_that_cannot_be_sent_raises_a_type_error(value):
    with pytest.raises(TypeError):
        encode(EVENT, "/", ["a", value])
