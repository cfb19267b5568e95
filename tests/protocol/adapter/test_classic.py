"""Classic adapter protocol, against bytes that Node produced."""

import json
import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol import adapter as wire
from rtserver.protocol.adapter import Channels, MalformedMessage, Options, RequestType

# Made by notepack.io 3.0.1 from what @socket.io/redis-emitter 5.1 and @socket.io/redis-adapter 8.3 encode.
EMITTED = bytes.fromhex(
    "93a7656d697474657283a47479706502a46461746192a2686983a16101a162c403010203a164cb3ff8000000000000a36e7370a52f63686174"
    "83a5726f6f6d7391a56c6f626279a5666c61677381a8766f6c6174696c65c3a665786365707491a178"
)
ASKED = bytes.fromhex(
    "85a3756964a6616263646566a9726571756573744964a66768696a6b6ca47479706507a67061636b657483a47479706502a46461746192a3"
    "61736b01a36e7370a52f63686174a46f70747383a5726f6f6d7390a665786365707490a5666c61677381a774696d656f7574cd03e8"
)


def _deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ACKED = bytes.fromhex("83a47479706509a9726571756573744964a66768696a6b6ca67061636b657481a26f6bc3")


def test_a_broadcast_of_node_is_decoded() -> None:
    message = wire.decode_broadcast(EMITTED)
    assert (message.uid, message.nsp) == ("emitter", "/chat")
    assert message.args == ["hi", {"a": 1, "b": b"\x01\x02\x03", "d": 1.5}]
    assert message.options == Options(("lobby",), ("x",), {"volatile": True})


@pytest.mark.parametrize("uid", ["abcdef", 7])
@pytest.mark.parametrize(
    ("packet", "opts"),
    [
        ({"type": 2, "data": ["e", [math.nan, {"a": math.inf}]], "nsp": "/n"}, {"rooms": ["a", "b", "a"]}),
        ({"data": ["e"]}, {"except": ["x"], "flags": {"timeout": math.nan}}),
        ({"type": 5, "data": [1, b"\xff"], "more": 1}, {"rooms": ["a", 7, 7.0], "except": None}),
        ({"type": 2, "data": ["e"], "nsp": None}, {"rooms": None, "flags": None, "more": {}}),
        ({"type": 2, "data": ["e", _deep(61)]}, {"flags": {"a": _deep(61)}}),
        ({"type": 2, "data": ["e", dict.fromkeys(map(str, range(20)), 1)]}, {}),
    ],
)
def test_the_fast_and_the_general_decoder_agree_on_broadcasts(uid: Any, packet: Any, opts: Any) -> None:
    message = wire.decode_broadcast(msgpack.packb([uid, packet, opts]))
    more = wire.decode_broadcast(msgpack.packb([uid, packet, opts, "more"]))
    assert (message.uid, message.nsp, message.args, message.options) == (uid, more.nsp, more.args, more.options)


@pytest.mark.parametrize("more", [[], ["more"]])
@pytest.mark.parametrize(
    ("packet", "opts"),
    [
        ({"type": 3, "data": ["e"]}, {}),
        ({"type": 2, "data": ["disconnect"]}, {}),
        ({"type": 2, "data": []}, {}),
        ({"type": 2, "data": [["e"]]}, {}),
        ({"type": 2, "data": {"e": 1}}, {}),
        ({"type": 2}, {}),
        ({"type": 2, "data": ["e", _deep(62)]}, {}),
        ({"type": 2, "data": ["e"]}, {"flags": {"a": _deep(62)}}),
        ({"type": 2, "data": ["e"]}, {"rooms": ["a", ["b"]]}),
        ({"type": 2, "data": ["e"]}, {"rooms": ["a"] * 200_001}),
    ],
)
def test_both_decoders_reject_the_same_broadcasts(packet: Any, opts: Any, more: list[Any]) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_broadcast(msgpack.packb(["u", packet, opts, *more]))


def test_a_broadcast_request_of_node_is_decoded() -> None:
    request = wire.decode_request(ASKED)
    assert (request.type, request.uid, request.request_id) == (RequestType.BROADCAST, "abcdef", "ghijkl")
    assert (request.nsp, request.args, request.options) == ("/chat", ["ask", 1], Options(flags={"timeout": 1000}))


def test_an_ack_of_node_is_decoded_and_ours_has_the_same_bytes() -> None:
    response = wire.decode_response(ACKED)
    assert (response.request_id, response.type) == ("ghijkl", RequestType.BROADCAST_ACK)
    assert response.body["packet"] == {"ok": True}
    assert wire.encode_ack("ghijkl", {"ok": True}) == ACKED


def test_our_broadcasts_are_what_node_would_have_sent() -> None:
    args, options = ["hi", {"a": 1}], Options(("lobby",), ("x", "x"), {"volatile": True})
    assert msgpack.unpackb(wire.encode_broadcast("abcdef", "/chat", args, options)) == [
        "abcdef",
        {"type": 2, "data": ["hi", {"a": 1}], "nsp": "/chat"},
        {"rooms": ["lobby"], "except": ["x"], "flags": {"volatile": True}},
    ]
    request = wire.encode_broadcast_request("abcdef", "ghijkl", "/chat", ["ask", 1], Options(flags={"timeout": 1000}))
    assert request == ASKED


def test_our_requests_are_json_unless_they_contain_bytes() -> None:
    request = wire.encode_request(RequestType.SERVER_SIDE_EMIT, uid="abcdef", data=["x", 1])
    assert json.loads(request) == {"uid": "abcdef", "type": 6, "data": ["x", 1]}
    request = wire.encode_request(RequestType.SERVER_SIDE_EMIT, uid="abcdef", request_id="r", data=["x", b"\xff"])
    assert msgpack.unpackb(request) == {"uid": "abcdef", "requestId": "r", "type": 6, "data": ["x", b"\xff"]}
    assert wire.decode_request(request).args == ["x", b"\xff"]


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ({"type": 0, "uid": "u", "requestId": "r", "rooms": ["a", 1]}, {"options": Options(("a", "1"))}),
        ({"type": 1, "uid": "u", "requestId": "r"}, {}),
        ({"type": 2, "opts": {"rooms": ["a"], "except": []}, "rooms": ["b"]},
         {"options": Options(("a",)), "rooms": ("b",), "reply_only_if_present": False}),
        ({"type": 3, "requestId": "r", "sid": "s", "room": "b"},
         {"options": Options(("s",)), "rooms": ("b",), "reply_only_if_present": True}),
        ({"type": 4, "opts": {"rooms": [], "except": ["x"]}, "close": True},
         {"options": Options((), ("x",)), "close": True}),
        ({"type": 4, "sid": "s"}, {"options": Options(("s",)), "close": False, "reply_only_if_present": True}),
        ({"type": 5, "uid": "u", "requestId": "r", "opts": {}}, {"options": Options()}),
        ({"type": 6, "uid": "u", "data": ["x", 1]}, {"args": ["x", 1]}),
    ],
)  # fmt: skip
def test_every_request_is_decoded(sent: dict[str, Any], expected: dict[str, Any]) -> None:
    request = wire.decode_request(json.dumps(sent).encode())
    assert {name: getattr(request, name) for name in expected} == expected
    assert request.type == sent["type"]
    assert request.request_id == sent.get("requestId")


@pytest.mark.parametrize(
    "payload",
    [
        b"", b"5", b"[]", b"{}", b"null", b"{", b'{"type": 99}', b'{"type": null}', b'{"type": "2"}', b'{"type": [1]}',
        b'{"type": 8}', b'{"type": 1, "requestId": 5}', b'{"type": 1, "uid": {}}', b'{"type": 2}',
        b'{"type": 2, "opts": 5}', b'{"type": 2, "opts": {"rooms": "a"}, "rooms": ["b"]}',
        b'{"type": 2, "opts": {"rooms": [{}]}, "rooms": ["b"]}', b'{"type": 2, "opts": {}, "rooms": [true]}',
        b'{"type": 4, "sid": null}', b'{"type": 6, "data": []}', b'{"type": 6, "data": [{}]}', b'{"type": 6}',
        b'{"type": 7}', b'{"type": 7, "packet": {"type": 0, "data": ["x"]}, "opts": {}}',
        b'{"type": 6, "data": ["x", NaN]}', b'{"type": 6, "data": ["\\ud800"]}',
        b'{"type": 6, "data": ["x", ' + b"[" * 500 + b"]" * 500 + b"]}",
    ],
)  # fmt: skip
def test_a_malformed_request_is_rejected(payload: bytes) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_request(payload)


@pytest.mark.parametrize(
    "message",
    [
        5, [], {}, None, ["u"], ["u", {}, {}], ["u", {"type": 2, "data": []}, {}], ["u", {"type": 2, "data": "x"}, {}],
        ["u", {"type": 0, "data": ["x"]}, {}], ["u", {"type": 2, "data": [None]}, {}],
        ["u", {"type": 2, "data": ["x"], "nsp": 5}, {}], ["u", {"type": 2, "data": ["x"]}, None],
        ["u", {"type": 2, "data": ["x"]}, {"rooms": {}, "except": 5}], ["u", {"type": {}, "data": ["x"]}, {}],
        ["u", {"type": 2, "data": ["disconnect"]}, {}],
    ],
)  # fmt: skip
def test_a_malformed_broadcast_is_rejected(message: Any) -> None:
    with pytest.raises(MalformedMessage):
        wire.decode_broadcast(msgpack.packb(message))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 12) | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
FIELDS = ("type", "uid", "requestId", "opts", "rooms", "sid", "room", "data", "packet", "close", "clientCount")
BODIES = st.dictionaries(st.sampled_from(FIELDS), JUNK)


@given(st.binary() | BODIES.map(msgpack.packb) | JUNK.map(msgpack.packb))
def test_garbage_raises_malformed_message_only(payload: bytes) -> None:
    for decode in (wire.decode_broadcast, wire.decode_request, wire.decode_response):
        try:
            decode(payload)
        except MalformedMessage:
            continue


def test_an_invalid_client_count_is_rejected() -> None:
    for count in (None, -1, 1.5, "3", True):
        response = wire.decode_response(json.dumps({"type": 8, "requestId": "r", "clientCount": count}).encode())
        with pytest.raises(MalformedMessage):
            _ = response.client_count


def test_channels_are_those_of_node() -> None:
    channels = Channels("socket.io", "/chat")
    assert channels.request == "socket.io-request#/chat#"
    assert channels.response == "socket.io-response#/chat#"
    assert channels.response_to("abcdef") == "socket.io-response#/chat#abcdef#"
    assert channels.broadcast_to(()) == channels.broadcast_to(("a", "b")) == "socket.io#/chat#"
    assert channels.broadcast_to(("lobby",)) == "socket.io#/chat#lobby#"
    assert channels.room_of("socket.io#/chat#lobby#") == "lobby"
    assert channels.room_of("socket.io#/chat#") == ""
    assert channels.room_of("socket.io#/chat2#") is None


def test_a_namespace_with_wildcards_subscribes_to_itself_only() -> None:
    assert Channels("socket.io", "/a*b?[c]\\").pattern == "socket.io#/a\\*b\\?\\[c\\]\\\\#*"


def test_uids_are_six_letters_or_digits() -> None:
    assert len({wire.new_uid() for _ in range(100)}) == 100
    assert all(len(uid) == 6 and uid.isalnum() and uid.isascii() for uid in (wire.new_uid() for _ in range(100)))
