"""Conversations: the meaning of `room` and `to`."""

import msgspec
import pytest

from rtserver.errors import InvalidPayload
from rtserver.namespaces.chat.conversation import conversation
from rtserver.namespaces.chat.payloads import HistoryPayload, MessagePayload, Place
from rtserver.namespaces.chat.presence import audience_of


def test_a_direct_message_reaches_every_device_of_both() -> None:
    where = conversation(Place(to="bob"), "alice")
    assert where.room == "dm:alice:bob"
    assert set(where.audience) == {"user:alice", "user:bob"}
    assert where.partner == "bob"


def test_a_user_can_write_to_oneself() -> None:
    assert conversation(Place(to="alice"), "alice").audience == ("user:alice",)


def test_an_own_direct_room_can_be_addressed_by_name() -> None:
    assert conversation(Place(room="dm:alice:bob"), "bob") == conversation(Place(to="alice"), "bob")


def test_the_direct_room_of_two_others_is_rejected() -> None:
    with pytest.raises(InvalidPayload):
        conversation(Place(room="dm:alice:bob"), "carol")


@pytest.mark.parametrize(
    "payload", [{}, {"room": "a", "to": "b"}, {"room": None, "to": None}, {"to": ""}, {"to": "a\0"}]
)
def test_a_payload_addresses_either_a_room_or_a_user(payload: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(payload, Place)


def test_history_has_one_direction() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"room": "a", "before": 3, "after": 1}, HistoryPayload)


def test_the_wire_names_are_camel_case() -> None:
    assert msgspec.convert({"room": "a", "text": "x", "replyTo": "m1"}, MessagePayload).reply_to == "m1"


def test_presence_goes_to_rooms_and_to_direct_partners_only() -> None:
    assert audience_of("bob", ["general", "dm:alice:bob", "dm:bob:carol", "general"]) == [
        "general",
        "user:alice",
        "user:carol",
    ]
