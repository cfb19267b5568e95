"""Direct conversations begin with a message: until then nothing that a user does reaches the other one."""

from typing import Any

import pytest

from rtserver.errors import Unavailable
from rtserver.namespaces.chat import Chat
from rtserver.store.messages.records import Author, Draft
from tests.namespaces.chat.conftest import Join
from tests.namespaces.chat.test_namespace import settled

TOLD = ("message", "messageEdited", "messageDeleted", "reaction", "typing", "read", "presence", "joined")


async def rooms(client: Any) -> list[str]:
    return [room["room"] for room in (await client.call("rooms"))["rooms"]]


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("message", {"text": "hi", "replyTo": "nothing"}, "not_found"),
        ("message", {"text": " "}, "invalid_payload"),
        ("message", {"text": "x" * 10_001}, "too_large"),
        ("message", {"text": "hi", "data": "x" * 20_000}, "too_large"),
        ("edit", {"id": "nothing", "text": "hi"}, "not_found"),
        ("delete", {"id": "nothing"}, "not_found"),
        ("react", {"id": "nothing", "emoji": "👍", "on": True}, "not_found"),
        ("typing", {"typing": True}, None),
        ("typing", {"typing": False}, None),
        ("read", {"seq": 0}, None),
        ("read", {"seq": 7}, None),
        ("history", {}, None),
    ],
)
async def test_a_stranger_hears_nothing_and_sees_no_conversation(
    chat: Chat, person: Join, event: str, payload: dict[str, Any], code: str | None
) -> None:
    eve, bob = await person("eve"), await person("bob")
    for place in ({"to": "bob"}, {"room": "dm:bob:eve"}):
        ack = await eve.call(event, place | payload)
        assert (ack.get("error") or {}).get("code") == code
    await settled(eve, bob)
    assert not [told for told in TOLD for _ in bob.received(told)]
    assert (await rooms(eve), await rooms(bob)) == ([], [])
    assert (await chat.poster.post([Draft("dm:bob:eve", Author("eve", "eve"), "hi @bob")]))[0][0].mentions == ["bob"]
    assert (await rooms(eve), await rooms(bob)) == (["dm:bob:eve"], ["dm:bob:eve"])


async def test_a_message_that_is_not_saved_opens_no_conversation(
    chat: Chat, person: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    eve, bob = await person("eve"), await person("bob")

    async def full(draft: Draft) -> Any:
        raise Unavailable

    with monkeypatch.context() as patch:
        patch.setattr(chat._messages, "append", full)
        assert (await eve.call("message", {"to": "bob", "text": "hi"}))["error"]["code"] == "unavailable"
    assert (await rooms(eve), await rooms(bob)) == ([], [])
    assert (await eve.call("message", {"to": "bob", "text": "hi"}))["ok"]
    assert (await rooms(eve), await rooms(bob)) == (["dm:bob:eve"], ["dm:bob:eve"])


async def test_after_the_first_message_the_conversation_is_for_both(chat: Chat, person: Join) -> None:
    eve, bob = await person("eve"), await person("bob")
    sent = (await eve.call("message", {"to": "bob", "text": "hi"}))["message"]
    await bob.call("typing", {"to": "eve", "typing": True})
    assert (await eve.next("typing"))[0]["user"] == "bob"
    await bob.call("read", {"to": "eve", "seq": 1})
    assert await eve.next("read") == [{"room": "dm:bob:eve", "user": "bob", "seq": 1}]
    await bob.call("react", {"to": "eve", "id": sent["id"], "emoji": "👍", "on": True})
    assert (await eve.next("reaction"))[0]["user"] == "bob"
    await eve.call("edit", {"to": "bob", "id": sent["id"], "text": "hello"})
    assert (await bob.next("messageEdited"))[0]["text"] == "hello"


async def test_the_author_is_known_by_name_and_the_other_one_by_the_id_until_then(chat: Chat, url: str) -> None:
    anne = Draft("dm:anne:bob", Author("anne", "Anne"), "hi")
    bob = Draft("dm:anne:bob", Author("bob", "Bob"), "hi")
    await chat.poster.post([anne])
    members = await chat._rooms.members("dm:anne:bob")
    assert [(one.id, one.name) for one in members] == [("anne", "Anne"), ("bob", "bob")]
    chat.poster.direct_rooms.evict("bob")
    await chat.poster.post([anne, bob])
    members = await chat._rooms.members("dm:anne:bob")
    assert [(one.id, one.name) for one in members] == [("anne", "Anne"), ("bob", "Bob")]


async def test_a_user_who_came_back_after_erasure_is_a_stranger(chat: Chat, person: Join) -> None:
    eve, bob = await person("eve"), await person("bob")
    sent = (await eve.call("message", {"to": "bob", "text": "to the old bob"}))["message"]
    await bob.next("message")
    await chat._rooms.leave("dm:bob:eve", "bob")  # as erasure does
    chat.poster.direct_rooms.evict("bob")
    place = {"to": "bob"}
    for event, payload in (
        ("edit", {"id": sent["id"], "text": "again, @bob"}), ("react", {"id": sent["id"], "emoji": "👍", "on": True}),
        ("typing", {"typing": True}), ("read", {"seq": 1}), ("delete", {"id": sent["id"]}),
    ):  # fmt: skip
        assert (await eve.call(event, place | payload))["ok"], event
    await settled(bob)
    assert not [told for told in TOLD[1:] for _ in bob.received(told)]
    assert (await eve.call("message", {"to": "bob", "text": "hello, new bob"}))["ok"]
    assert (await bob.next("message"))[0]["text"] == "hello, new bob"
    assert await rooms(bob) == ["dm:bob:eve"]


async def test_typing_to_somebody_of_the_same_room_is_shown_before_the_first_message(chat: Chat, person: Join) -> None:
    eve, bob = await person("eve"), await person("bob")
    for client in (eve, bob):
        await client.call("join", {"room": "general"})
    await eve.call("typing", {"to": "bob", "typing": True})
    assert await bob.next("typing") == [{"room": "dm:bob:eve", "user": "eve", "typing": True}]
    await bob.call("leave", {"room": "general"})
    await eve.call("read", {"to": "bob", "seq": 1})
    await settled(bob)
    assert not bob.received("read")
