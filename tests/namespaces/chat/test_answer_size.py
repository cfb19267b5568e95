"""Answers end at a number of bytes, whatever the number of messages, and lead to the rest."""

import json
from typing import Any

import pytest

from rtserver.answer_size import ANSWER_BYTES
from rtserver.namespaces.chat import Chat
from rtserver.store.messages.records import Author, Draft, Member
from tests.namespaces.chat.conftest import Join

ROOMS = [f"room{number:02}" for number in range(5)]
TEXT = "x" * 9_000 + "👋" * 1_000
"""Of 13 kB."""


def size(ack: Any) -> int:
    return len(json.dumps(ack, ensure_ascii=False, separators=(",", ":")).encode())


@pytest.fixture
async def filled(chat: Chat) -> None:
    """Five rooms of alice, with 100 long messages each; and 25 more rooms with one."""
    few = [f"small{number:02}" for number in range(25)]
    for room in ROOMS + few:
        await chat._rooms.join(room, Member("alice", "Alice"))
        count = 100 if room in ROOMS else 1
        for number in range(count):
            message = Draft(room, Author("bob", "Bob"), TEXT, data={"n": number, "more": "y" * 10_000})
            await chat._messages.append(message)


@pytest.mark.usefixtures("filled")
async def test_sync_ends_at_the_bytes_of_an_answer_and_leads_to_all_messages(person: Join) -> None:
    alice = await person("alice")
    position, seen, calls = dict.fromkeys(ROOMS, 0), {room: [] for room in ROOMS}, 0
    left = ROOMS
    while left:
        ack = await alice.call("sync", {"rooms": {room: position[room] for room in left}, "limit": 100})
        assert size(ack) <= 1.05 * ANSWER_BYTES
        for room in left:
            missed = ack["rooms"][room]
            assert (missed["lastSeq"], missed["more"]) == (100, position[room] + len(missed["messages"]) < 100)
            seen[room] += [message["seq"] for message in missed["messages"]]
            position[room] = max([0, *seen[room]])
        left = [room for room in left if ack["rooms"][room]["more"]]
        calls += 1
    assert all(found == list(range(1, 101)) for found in seen.values())
    assert 20 <= calls <= 40


@pytest.mark.usefixtures("filled")
async def test_every_list_ends_at_the_bytes_of_an_answer_and_leads_to_the_rest(person: Join) -> None:
    alice = await person("alice")
    ack = await alice.call("join", {"room": ROOMS[0]})
    assert size(ack) <= ANSWER_BYTES + 1000
    assert (ack["more"], ack["messages"][-1]["seq"]) == (True, 100)
    before, seen = ack["messages"][0]["seq"], []
    while ack.get("more"):
        ack = await alice.call("history", {"room": ROOMS[0], "before": before, "limit": 100})
        assert size(ack) <= ANSWER_BYTES + 1000
        before = ack["messages"][0]["seq"]
        seen = [message["seq"] for message in ack["messages"]] + seen
    assert seen == list(range(1, seen[-1] + 1))
    rooms, cursor = [], {}
    while cursor is not None:
        ack = await alice.call("rooms", cursor)
        assert size(ack) <= ANSWER_BYTES + 1000 + 200 * len(ack["rooms"])
        rooms += [one["room"] for one in ack["rooms"]]
        cursor = None if ack["next"] is None else {"cursor": ack["next"]}
    assert len(rooms) == len(set(rooms)) == 30


async def test_search_ends_at_the_bytes_of_an_answer(person: Join, chat: Chat) -> None:
    alice = await person("alice")
    await alice.call("join", {"room": "general"})
    for _ in range(60):
        await chat._messages.append(Draft("general", Author("bob", "Bob"), "needle " + "👋" * 9_000))
    found, cursor = [], {}
    while cursor is not None:
        ack = await alice.call("search", {"query": "needle", "limit": 100, **cursor})
        assert size(ack) <= ANSWER_BYTES + 1000
        found += [message["seq"] for message in ack["messages"]]
        cursor = None if ack["next"] is None else {"cursor": ack["next"]}
    assert found == list(range(60, 0, -1))


async def test_members_end_at_the_bytes_of_an_answer(person: Join, chat: Chat) -> None:
    alice = await person("alice")
    await alice.call("join", {"room": "general"})
    users = [f"{number:04}" + "👋" * 195 for number in range(600)]
    await chat.room_admin.add("general", [Member(user, "👋" * 200) for user in users], "admin")
    seen, cursor = [], {}
    while cursor is not None:
        ack = await alice.call("members", {"room": "general", "limit": 1000, **cursor})
        assert size(ack) <= ANSWER_BYTES
        assert ack["count"] == 601
        seen += [member["id"] for member in ack["members"]]
        cursor = None if ack["next"] is None else {"cursor": ack["next"]}
    assert sorted(seen) == sorted([*users, "alice"])
    assert len(seen) == 601
