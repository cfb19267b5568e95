"""Sync: a returning client gets what it missed with one call."""

from typing import Any

from tests.namespaces.chat.test_namespace import joined, settled
from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient

GENERAL, OTHER = {"room": "general"}, {"room": "other"}


async def say(client: JsClient, *texts: str, **place: str) -> list[dict[str, Any]]:
    place = place or GENERAL
    return [(await client.call("message", {**place, "text": text}))["message"] for text in texts]


async def sync(client: JsClient, rooms: dict[str, Any], **options: Any) -> dict[str, Any]:
    ack = await client.call("sync", {"rooms": rooms, **options})
    assert ack["ok"], ack
    told: dict[str, Any] = ack["rooms"]
    return told


async def test_one_call_returns_what_was_missed_in_each_room(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    await alice.call("join", OTHER)
    sent = await say(alice, *"abcde")
    await bob.call("message", {"to": "alice", "text": "psst"})
    phone = await device("alice", "/chat")
    told = await sync(phone, {"general": 2, "other": {"seq": 0, "rev": 0}, "dm:alice:bob": 0, "dm:alice:new": 0})
    assert told["general"] == {
        "messages": sent[2:], "changed": [], "more": False, "lastSeq": 5, "rev": 0, "firstSeq": 1, "unread": 0,
        "lastRead": 0,
    }  # fmt: skip
    assert told["other"]["messages"] == []
    assert ([m["text"] for m in told["dm:alice:bob"]["messages"]], told["dm:alice:bob"]["unread"]) == (["psst"], 1)
    assert (told["dm:alice:new"]["lastSeq"], told["dm:alice:new"]["messages"]) == (0, [])


async def test_changes_of_known_messages_are_returned_since_rev(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    first, second, _, fourth = [m["id"] for m in await say(alice, *"abcd")]
    await alice.call("edit", {**GENERAL, "id": first, "text": "A"})
    known = (await bob.call("join", GENERAL))["rev"]
    assert known == 1
    deleted = (await alice.call("delete", {**GENERAL, "id": second}))["message"]
    await bob.call("react", {**GENERAL, "id": first, "emoji": "👍", "on": True})
    edited = (await alice.call("edit", {**GENERAL, "id": fourth, "text": "D"}))["message"]
    told = (await sync(bob, {"general": {"seq": 3, "rev": known}}))["general"]
    assert [(m["id"], m["rev"], m["text"]) for m in told["changed"]] == [(second, 2, ""), (first, 3, "A")]
    assert told["changed"][0] == deleted
    assert told["changed"][1]["reactions"] == [{"emoji": "👍", "count": 1, "users": ["bob"]}]
    assert told["messages"] == [edited], "what is new comes as it is now"
    assert (told["rev"], told["more"]) == (4, False)
    assert (await sync(bob, {"general": {"seq": 4, "rev": 4}}))["general"]["changed"] == []
    assert (await sync(bob, {"general": 4}))["general"]["changed"] == [], "nothing is known without a rev"


async def test_pages_lead_to_the_end(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    ids = [m["id"] for m in await say(alice, *map(str, range(12)))]
    for id_ in ids[:5]:
        await alice.call("edit", {**GENERAL, "id": id_, "text": "edited"})
    seq, rev, seen, changed, calls = 6, 0, [], [], 0
    more = True
    while more:
        told = (await sync(bob, {"general": {"seq": seq, "rev": rev}}, limit=2))["general"]
        seen += [m["seq"] for m in told["messages"]]
        changed += [m["id"] for m in told["changed"]]
        assert len(told["messages"]) + len(told["changed"]) <= 2
        seq, rev, more, calls = max([seq, *seen]), told["rev"], told["more"], calls + 1
    assert (seen, changed, rev) == (list(range(7, 13)), ids[:5], 5)
    assert calls == 6


async def test_forbidden_rooms_are_rejected_separately(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    await bob.call("join", OTHER)
    await bob.call("message", {**OTHER, "text": "secret"})
    await say(alice, "hi")
    await bob.call("message", {"to": "carol", "text": "psst"})
    wrong = {
        "other": "room_not_joined",
        "nowhere": "room_not_joined",
        "dm:bob:carol": "invalid_payload",
        "user:bob": "invalid_payload",
        "a\0b": "invalid_payload",
        "x" * 10_000: "invalid_payload",
        "dm:alice:" + "x" * 5_000: "invalid_payload",
        "": "invalid_payload",
    }
    told = await sync(alice, dict.fromkeys(wrong, 0) | {"general": 0}, join=True)
    assert {room: told[room]["error"]["code"] for room in wrong} == wrong
    assert len(told["general"]["messages"]) == 1
    await alice.call("leave", GENERAL)
    assert (await sync(alice, {"general": 0}))["general"]["error"]["code"] == "room_not_joined"


async def test_with_join_the_socket_receives_events_again(device: Device) -> None:
    _, bob = await joined(device, "alice", "bob")
    phone = await device("alice", "/chat")
    await sync(phone, {"general": 0})
    await say(bob, "unheard")
    told = await sync(phone, {"general": 0}, join=True)
    assert len(told["general"]["messages"]) == 1
    [sent] = await say(bob, "heard")
    assert await phone.next("message") == [sent]
    await settled(phone)
    assert len(phone.received("message")) == 1


async def test_one_answer_is_bounded(device: Device) -> None:
    alice = await device("alice", "/chat")
    rooms = [f"room{number}" for number in range(12)]
    for room in rooms:
        await alice.call("join", {"room": room})
        for number in range(100):
            await alice.emit("message", {"room": room, "text": str(number)})
    await alice.call("rooms")
    told = await sync(alice, dict.fromkeys(rooms, 0), limit=100)
    assert [len(told[room]["messages"]) for room in rooms] == [100] * 10 + [0, 0]
    assert [told[room]["more"] for room in rooms] == [False] * 10 + [True, True]
    ack = await alice.call("sync", {"rooms": {f"r{number}": 0 for number in range(201)}})
    assert ack["error"]["code"] == "invalid_payload"


async def test_hostile_positions_are_rejected(device: Device) -> None:
    [alice] = await joined(device, "alice")
    await say(alice, "hi")
    for position in (-1, 2**53, 1.5, "1", None, True, {}, {"seq": -1}, {"seq": 0, "rev": -1}, {"rev": 1}, [0]):
        ack = await alice.call("sync", {"rooms": {"general": position}})
        assert ack["error"]["code"] == "invalid_payload", position
    told = await sync(alice, {"general": {"seq": 2**53 - 1, "rev": 2**53 - 1}})
    assert (told["general"]["messages"], told["general"]["changed"], told["general"]["lastSeq"]) == ([], [], 1)
