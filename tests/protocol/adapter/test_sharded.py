"""Sharded adapter protocol: envelopes and channels, valid and invalid ones."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtserver.protocol import json, msgpack
from rtserver.protocol.adapter import Broadcast, MalformedMessage, Options, Request, RequestType, sharded

SOME = Options(("a",), ("b",), {"volatile": True})
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 15) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)
envelopes = st.fixed_dictionaries(
    {"nsp": st.just("/n"), "type": st.integers(0, 14)},
    optional={
        "uid": values,
        "data": values
        | st.fixed_dictionaries(
            {}, optional=dict.fromkeys(("opts", "packet", "rooms", "requestId", "sockets"), values)
        ),
    },
)


@pytest.mark.parametrize("args", [["x", 1, {"a": [None]}], ["x", b"\x00\xff"]])
def test_a_decoded_broadcast_equals_the_encoded_one(args: list[Any]) -> None:
    message = sharded.decode_message(sharded.encode_broadcast("u", "/n", args, SOME), "/n")
    assert message == Broadcast("u", "/n", args, SOME)


def test_a_broadcast_with_acks_is_a_request() -> None:
    message = sharded.decode_message(sharded.encode_broadcast("u", "/n", ["x"], SOME, "r"), "/n")
    assert message == Request(RequestType.BROADCAST, "u", "r", SOME, nsp="/n", args=["x"])


def test_a_message_of_another_namespace_is_ignored() -> None:
    assert sharded.decode_message(sharded.encode_broadcast("u", "/n", ["x"], SOME), "/m") is None


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (RequestType.REMOTE_FETCH, {"sockets": [{"id": "s"}], "instance": "i"}),
        (RequestType.SERVER_SIDE_EMIT, {"data": b"\x00"}),
        (RequestType.BROADCAST_CLIENT_COUNT, {"clientCount": 3}),
        (RequestType.BROADCAST_ACK, {"packet": {"a": 1}}),
    ],
)
def test_a_response_has_the_field_names_of_the_classic_adapter(kind: RequestType, fields: dict[str, Any]) -> None:
    payload = sharded.encode_response(kind, uid="u", nsp="/n", request_id="r", **fields)
    response = sharded.decode_response(payload, "/n")
    assert response is not None
    assert (response.request_id, response.type) == ("r", kind)
    assert fields.items() <= response.body.items()


def test_a_room_name_as_long_as_a_socket_id_has_no_channel() -> None:
    """Node takes a name of twenty UTF-16 units for a socket id."""
    channels = sharded.ShardedChannels("key", "/n")
    assert channels.broadcast_to(["room"]) == "key#/n#room#"
    for rooms in ([], ["a", "b"], ["x" * 20], ["😀" * 10]):
        assert channels.broadcast_to(rooms) == "key#/n#"
    assert channels.of_room("😀" * 20) == f"key#/n#{'😀' * 20}#"


@given(st.binary(max_size=100) | envelopes.map(json.dumps) | envelopes.map(msgpack.dumps))
def test_garbage_is_malformed_or_ignored(payload: bytes) -> None:
    for decode in (sharded.decode_message, sharded.decode_response):
        with contextlib.suppress(MalformedMessage):
            decode(payload, "/n")
