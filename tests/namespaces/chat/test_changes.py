"""Edits, deletions and reactions, as users with several devices see them."""

import asyncio
from typing import Any

import pytest

from rtserver.errors import EventError
from rtserver.namespaces.chat.content import clean_emoji
from tests.namespaces.chat.test_namespace import joined, settled
from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient


async def say(client: JsClient, text: str = "hello", **payload: Any) -> dict[str, Any]:
    message: dict[str, Any] = (await client.call("message", {"room": "general", "text": text, **payload}))["message"]
    return message


async def code(client: JsClient, event: str, **payload: Any) -> str:
    ack = await client.call(event, {"room": "general", **payload})
    return "ok" if ack["ok"] else str(ack["error"]["code"])


async def test_an_edit_is_broadcast_and_notifies_newly_mentioned_users(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    inbox = await device("bob", "/notifications")
    first = await say(phone, "helo @alice")
    ack = await phone.call("edit", {"room": "general", "id": first["id"], "text": " hello @bob ", "data": {"a": 1}})
    now = ack["message"]
    assert (now["text"], now["data"], now["mentions"]) == ("hello @bob", {"a": 1}, ["bob"])
    assert (now["rev"], now["seq"]) == (1, 1)
    assert now["editedAt"] >= first["sentAt"]
    for other in (laptop, bob):
        assert await other.next("messageEdited") == [now]
    assert (await inbox.next("notification"))[0]["data"]["id"] == first["id"]
    again = await phone.call("edit", {"room": "general", "id": first["id"], "text": "hello  @bob, you", "data": None})
    assert "data" not in again["message"]
    assert len((await inbox.call("list"))["notifications"]) == 1
    await settled(phone)
    assert not phone.received("messageEdited")


async def test_a_deleted_message_is_a_tombstone_on_all_devices(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    first, second = await say(phone, "regret"), await say(phone, "next")
    await bob.call("react", {"room": "general", "id": first["id"], "emoji": "👍", "on": True})
    gone = (await phone.call("delete", {"room": "general", "id": first["id"]}))["message"]
    assert gone["text"] == ""
    assert {"data", "mentions", "reactions"}.isdisjoint(gone)
    assert (gone["seq"], gone["deletedBy"], gone["rev"]) == (1, "alice", 2)
    for other in (laptop, bob):
        assert await other.next("messageDeleted") == [gone]
    assert (await bob.call("history", {"room": "general"}))["messages"] == [gone, second]
    assert await code(phone, "edit", id=first["id"], text="back") == "conflict"
    assert await code(phone, "react", id=first["id"], emoji="👍", on=True) == "conflict"
    assert await code(phone, "delete", id=first["id"]) == "ok"
    await settled(bob)
    assert len(bob.received("messageDeleted")) == 1


async def test_only_authors_and_moderators_change_messages(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    mod = await device("max", "/chat", ("moderator",))
    message = await say(alice)
    assert await code(bob, "edit", id=message["id"], text="mine now") == "forbidden"
    assert await code(bob, "delete", id=message["id"]) == "forbidden"
    assert await code(mod, "delete", id=message["id"]) == "room_not_joined"
    await mod.call("join", {"room": "general"})
    assert await code(mod, "edit", id=message["id"], text="[removed]") == "ok"
    assert (await alice.next("messageEdited"))[0]["from"]["id"] == "alice"
    assert await code(mod, "delete", id=message["id"]) == "ok"
    assert (await alice.next("messageDeleted"))[0]["deletedBy"] == "max"
    private = (await alice.call("message", {"to": "max", "text": "psst"}))["message"]
    ack = await mod.call("delete", {"to": "alice", "id": private["id"]})
    assert ack["error"]["code"] == "forbidden"


async def test_unknown_ids_and_ids_of_other_rooms_are_not_found(device: Device) -> None:
    [alice] = await joined(device, "alice")
    private = (await alice.call("message", {"to": "bob", "text": "psst"}))["message"]["id"]
    for id_ in (private, "nothing"):
        assert await code(alice, "edit", id=id_, text="x") == "not_found"
        assert await code(alice, "delete", id=id_) == "not_found"
        assert await code(alice, "react", id=id_, emoji="👍", on=True) == "not_found"
    carol = await device("carol", "/chat")
    ack = await carol.call("react", {"room": "dm:alice:bob", "id": private, "emoji": "👍", "on": True})
    assert ack["error"]["code"] == "invalid_payload"


async def test_reactions_are_broadcast_and_appear_in_history_and_join(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    message = await say(phone)
    ack = await bob.call("react", {"room": "general", "id": message["id"], "emoji": " 👍 ", "on": True})
    shown = [{"emoji": "👍", "count": 1, "users": ["bob"]}]
    assert ack["message"] == {**message, "rev": 1, "reactions": shown}
    for other in (phone, laptop):
        [told] = await other.next("reaction")
        assert told == {
            "room": "general", "id": message["id"], "seq": 1, "user": "bob", "emoji": "👍", "on": True, "rev": 1,
            "reactions": shown,
        }  # fmt: skip
    assert (await bob.call("react", {"room": "general", "id": message["id"], "emoji": "👍", "on": True}))["ok"]
    for event in ("history", "join"):
        assert (await laptop.call(event, {"room": "general"}))["messages"] == [ack["message"]]
    await bob.call("react", {"room": "general", "id": message["id"], "emoji": "👍", "on": False})
    [told] = await phone.next("reaction")
    assert (told["on"], told["reactions"], told["rev"]) == (False, [], 2)


async def test_changes_in_a_direct_conversation_reach_all_devices_of_both(device: Device) -> None:
    phone, laptop, bob = [await device(user, "/chat") for user in ("alice", "alice", "bob")]
    message = (await phone.call("message", {"to": "bob", "text": "helo"}))["message"]
    edited = (await phone.call("edit", {"to": "bob", "id": message["id"], "text": "hello"}))["message"]
    await bob.call("react", {"room": "dm:alice:bob", "id": message["id"], "emoji": "👍", "on": True})
    await phone.call("delete", {"room": "dm:alice:bob", "id": message["id"]})
    for other in (laptop, bob):
        assert await other.next("messageEdited") == [edited]
        assert (await other.next("messageDeleted"))[0]["id"] == message["id"]
    assert (await laptop.next("reaction"))[0]["user"] == "bob"


async def test_changes_by_many_users_arrive_in_the_order_of_rev(device: Device) -> None:
    *people, reader = await joined(device, "a", "b", "c", "reader")
    message = await say(people[0])

    async def change(client: JsClient) -> None:
        for number in range(15):
            emoji = f"e{number}"
            assert await code(client, "react", id=message["id"], emoji=emoji, on=True) == "ok"

    await asyncio.gather(*map(change, people))
    await settled(reader)
    assert [told["rev"] for [told] in reader.received("reaction")] == list(range(1, 46))


@pytest.mark.parametrize("emoji", ["👍", "👩‍👩‍👧‍👦", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "❤️", "+1", ":thumbs_up:", "好"])
def test_valid_reactions(emoji: str) -> None:
    assert clean_emoji(f" {emoji} ") == emoji


@pytest.mark.parametrize(
    "emoji", ["", " ", "\u200b", "\ufe0f", "a b", "a\nb", "a\0", "\ud800", "x" * 33, "\u2800", "\u202e👍"]
)
def test_invalid_reactions(emoji: str) -> None:
    with pytest.raises(EventError):
        clean_emoji(emoji)
