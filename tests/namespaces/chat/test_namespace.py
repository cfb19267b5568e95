"""/chat between users with several devices, as official JavaScript clients see it."""

import asyncio
from typing import Any

from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient


async def settled(*clients: JsClient) -> None:
    """Wait for an ack: everything that was sent to the client before it has arrived then."""
    for client in clients:
        await client.call("online", {"users": []})


async def joined(device: Device, *users: str, room: str = "general") -> list[JsClient]:
    """One device for each name, joined; a user named twice has two."""
    clients = [await device(user, "/chat") for user in users]
    for client in clients:
        assert (await client.call("join", {"room": room}))["ok"]
    return clients


async def test_two_users_on_two_devices_each_chat_in_a_room(device: Device) -> None:
    phone, laptop, bob_phone, bob_laptop = await joined(device, "alice", "alice", "bob", "bob")
    ack = await phone.call("message", {"room": "general", "text": " Hello ", "nonce": "n1"})
    assert ack["ok"]
    message = ack["message"]
    assert message["text"] == "Hello"
    assert message["from"] == {"id": "alice", "name": "Alice"}
    assert (message["room"], message["seq"], message["nonce"]) == ("general", 1, "n1")
    for other in (laptop, bob_phone, bob_laptop):
        assert await other.next("message") == [message]
    reply = await bob_laptop.call("message", {"room": "general", "text": "Hi", "replyTo": message["id"]})
    assert (reply["message"]["seq"], reply["message"]["replyTo"]) == (2, message["id"])
    for other in (phone, laptop, bob_phone):
        assert await other.next("message") == [reply["message"]]
    await settled(phone, laptop, bob_phone, bob_laptop)
    assert [len(c.received("message")) for c in (phone, laptop, bob_phone, bob_laptop)] == [1, 2, 2, 1]


async def test_a_message_carries_data_and_no_fields_without_value(device: Device) -> None:
    [alice, bob] = await joined(device, "alice", "bob")
    data = {"image": "cat.png", "size": [640, 480]}
    ack = await alice.call("message", {"room": "general", "text": "look", "data": data})
    assert set(ack["message"]) == {"id", "seq", "room", "from", "text", "sentAt", "data"}
    [received] = await bob.next("message")
    assert received["data"] == data


async def test_a_direct_message_reaches_every_device_of_both_without_joining(device: Device) -> None:
    phone, laptop = await device("alice", "/chat"), await device("alice", "/chat")
    bobs = [await device("bob", "/chat"), await device("bob", "/chat")]
    carol = await device("carol", "/chat")
    ack = await phone.call("message", {"to": "bob", "text": "psst"})
    assert ack["message"]["room"] == "dm:alice:bob"
    for other in (laptop, *bobs):
        assert await other.next("message") == [ack["message"]]
    answer = await bobs[0].call("message", {"room": ack["message"]["room"], "text": "yes?"})
    assert answer["message"]["seq"] == 2
    history = await laptop.call("history", {"to": "bob"})
    assert [m["text"] for m in history["messages"]] == ["psst", "yes?"]
    for client, partner in ((laptop, "bob"), (bobs[1], "alice")):
        [direct] = (await client.call("rooms"))["rooms"]
        assert (direct["room"], direct["lastMessage"]["text"]) == ("dm:alice:bob", "yes?")
        assert partner in {m["id"] for m in (await client.call("members", {"room": "dm:alice:bob"}))["members"]}
    await settled(phone, carol)
    assert not carol.received("message")
    assert [m["text"] for [m] in phone.received("message")] == ["yes?"]


async def test_ids_with_colons_give_no_access_to_other_conversations(device: Device) -> None:
    first = await (await device("a:b", "/chat")).call("message", {"to": "c", "text": "ours"})
    second = await (await device("a", "/chat")).call("message", {"to": "b:c", "text": "theirs"})
    assert first["message"]["room"] != second["message"]["room"]
    assert second["message"]["seq"] == 1


async def test_other_users_cannot_use_a_direct_conversation(device: Device) -> None:
    alice, carol = await device("alice", "/chat"), await device("carol", "/chat")
    await alice.call("message", {"to": "bob", "text": "psst"})
    room = "dm:alice:bob"
    for event, payload in (
        ("join", {"room": room}),
        ("history", {"room": room}),
        ("message", {"room": room, "text": "me too"}),
        ("members", {"room": room}),
        ("read", {"room": room, "seq": 1}),
        ("typing", {"room": room, "typing": True}),
        ("leave", {"room": room}),
    ):
        ack = await carol.call(event, payload)
        assert ack["error"]["code"] == "invalid_payload", event


async def test_a_repeated_nonce_gets_the_first_ack_and_is_broadcast_once(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    first = await alice.call("message", {"room": "general", "text": "once", "nonce": "n1"})
    again = await alice.call("message", {"room": "general", "text": "changed", "nonce": "n1"})
    assert again == first
    theirs = await bob.call("message", {"room": "general", "text": "mine", "nonce": "n1"})
    assert theirs["message"]["id"] != first["message"]["id"]
    await settled(bob, alice)
    assert [m["text"] for [m] in bob.received("message")] == ["once"]


async def test_a_nonce_repeated_by_another_device_counts_once(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    payload = {"room": "general", "text": "once", "nonce": "n1"}
    answers = await asyncio.gather(*(c.call("message", payload) for c in (phone, laptop, phone, laptop)))
    assert len({answer["message"]["id"] for answer in answers}) == 1
    await settled(bob)
    assert len(bob.received("message")) == 1


async def test_messages_of_many_senders_arrive_in_the_order_of_seq(device: Device) -> None:
    *senders, reader = await joined(device, "a", "b", "c", "d", "reader")

    async def send(client: JsClient) -> None:
        for number in range(25):
            assert (await client.call("message", {"room": "general", "text": str(number)}))["ok"]

    await asyncio.gather(*map(send, senders))
    await settled(reader)
    assert [m["seq"] for [m] in reader.received("message")] == list(range(1, 101))


async def test_joining_shows_the_members_the_last_messages_and_the_read_cursor(device: Device) -> None:
    [alice] = await joined(device, "alice")
    for number in range(60):
        await alice.call("message", {"room": "general", "text": str(number)})
    bob = await device("bob", "/chat")
    ack = await bob.call("join", {"room": "general"})
    assert ack["room"] == "general"
    assert [m["seq"] for m in ack["messages"]] == list(range(11, 61))
    assert ack["lastRead"] == 0
    members = sorted(ack["members"], key=lambda member: member["id"])
    assert members == [
        {"id": "alice", "name": "Alice", "online": True, "here": True},
        {"id": "bob", "name": "Bob", "online": True, "here": True},
    ]
    assert await alice.next("joined") == [{"room": "general", "user": "bob"}]
    await bob.call("read", {"room": "general", "seq": 42})
    second = await device("bob", "/chat")
    assert (await second.call("join", {"room": "general"}))["lastRead"] == 42
    await settled(alice)
    assert len(alice.received("joined")) == 1, "a second device is no new member"


async def test_leaving_removes_all_devices(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    assert await phone.call("leave", {"room": "general"}) == {"ok": True}
    assert await bob.next("left") == [{"room": "general", "user": "alice"}]
    assert await laptop.next("left") == [{"room": "general", "user": "alice"}]
    await bob.call("message", {"room": "general", "text": "gone?"})
    for device_ in (phone, laptop):
        for event, payload in (
            ("message", {"room": "general", "text": "x"}),
            ("typing", {"room": "general", "typing": True}),
            ("history", {"room": "general"}),
            ("members", {"room": "general"}),
            ("read", {"room": "general", "seq": 1}),
        ):
            assert (await device_.call(event, payload))["error"]["code"] == "room_not_joined"
        assert not device_.received("message")
    assert (await phone.call("rooms"))["rooms"] == []


async def test_a_room_that_was_not_joined_is_closed(device: Device) -> None:
    [_, bob] = await joined(device, "alice", "bob")
    stranger = await device("carol", "/chat")
    for event, extra in (("message", {"text": "x"}), ("history", {}), ("members", {}), ("read", {"seq": 1})):
        ack = await stranger.call(event, {"room": "general", **extra})
        assert ack["error"]["code"] == "room_not_joined", event
    await settled(bob)
    assert not bob.received("message")


async def test_another_device_of_a_member_reads_before_it_joins_but_does_not_write(device: Device) -> None:
    [phone] = await joined(device, "alice")
    await phone.call("message", {"room": "general", "text": "hello"})
    laptop = await device("alice", "/chat")
    [room] = (await laptop.call("rooms", {}))["rooms"]
    assert (room["room"], room["unread"], room["lastMessage"]["text"]) == ("general", 0, "hello")
    assert [m["text"] for m in (await laptop.call("history", {"room": "general"}))["messages"]] == ["hello"]
    ack = await laptop.call("message", {"room": "general", "text": "x"})
    assert ack["error"]["code"] == "room_not_joined"


async def test_typing_is_shown_to_the_others_only(device: Device) -> None:
    phone, laptop, bob = await joined(device, "alice", "alice", "bob")
    assert await phone.call("typing", {"room": "general", "typing": True}) == {"ok": True}
    assert await bob.next("typing") == [{"room": "general", "user": "alice", "typing": True}]
    await bob.call("typing", {"to": "alice", "typing": False})
    for mine in (phone, laptop):
        assert await mine.next("typing") == [{"room": "dm:alice:bob", "user": "bob", "typing": False}]
    await settled(laptop)
    assert len(laptop.received("typing")) == 1


async def test_reading_on_one_device_shows_on_the_other_and_to_the_room(device: Device) -> None:
    phone, bob = await joined(device, "alice", "bob")
    laptop = await device("alice", "/chat")
    for text in "abc":
        await bob.call("message", {"room": "general", "text": text})
    assert (await laptop.call("rooms"))["rooms"][0]["unread"] == 3
    assert await phone.call("read", {"room": "general", "seq": 2}) == {"ok": True}
    for other in (laptop, bob):
        assert await other.next("read") == [{"room": "general", "user": "alice", "seq": 2}]
    assert (await laptop.call("rooms"))["rooms"][0]["unread"] == 1
    for seq in (1, 2, 2):  # nothing moves, and nobody is told
        assert await phone.call("read", {"room": "general", "seq": seq}) == {"ok": True}
    await phone.call("read", {"room": "general", "seq": 10**9})
    assert await bob.next("read") == [{"room": "general", "user": "alice", "seq": 3}]
    assert not phone.received("read")


async def test_texts_and_data_have_their_limits(device: Device) -> None:
    [alice] = await joined(device, "alice")

    async def code(**payload: Any) -> str:
        ack = await alice.call("message", {"room": "general", "text": "x", **payload})
        return "ok" if ack["ok"] else str(ack["error"]["code"])

    assert await code(text="x" * 10_000) == "ok"
    assert await code(text="x" * 10_001) == "too_large"
    assert await code(text=" \u200b ") == "invalid_payload"
    assert await code(text="a\0b") == "invalid_payload"
    assert await code(data={"a": "\0"}) in ("ok", "invalid_payload")
    assert await code(data=10**30) == "ok"
    assert await code(data="x" * 16_384) == "too_large"
    assert await code(data={"file": b"bytes"}) == "invalid_payload"
    assert await code(nonce="n" * 65) == "invalid_payload"
    assert await code(replyTo="n" * 65) == "invalid_payload"
