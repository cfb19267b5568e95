"""Rooms with many members and users in many rooms: lists are bounded."""

import sqlite3
from typing import Any

from tests.namespaces.conftest import Device
from tests.support.rtserver_process import RtServer


def fill(server: RtServer, room: str, count: int) -> None:
    rows = [(room, f"m{number:04}", f"Member {number}", 0) for number in range(count)]
    with sqlite3.connect(server.folder / "rtserver.db") as database:
        database.executemany("INSERT INTO members (room, user_id, name, joined_at) VALUES (?, ?, ?, ?)", rows)
    database.close()


async def test_a_huge_room_is_listed_page_by_page(running: RtServer, device: Device) -> None:
    alice = await device("alice", "/chat")
    joined = await alice.call("join", {"room": "square"})
    assert ([one["id"] for one in joined["members"]], joined["count"], joined["next"]) == (["alice"], 1, None)
    fill(running, "square", 450)
    joined = await alice.call("join", {"room": "square"})
    assert (len(joined["members"]), joined["count"]) == (200, 451)
    seen: list[str] = []
    asked: dict[str, Any] = {"room": "square"}
    while True:
        page = await alice.call("members", asked)
        assert len(page["members"]) <= 200
        assert page["count"] == 451
        seen += [one["id"] for one in page["members"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert seen == ["alice", *(f"m{number:04}" for number in range(450))]
    assert len((await alice.call("members", {"room": "square", "limit": 1000}))["members"]) == 451
    for wrong in ({"limit": 0}, {"limit": 1001}, {"cursor": ""}, {"cursor": 5}, {"cursor": "a\0"}):
        ack = await alice.call("members", {"room": "square", **wrong})
        assert ack["error"]["code"] == "invalid_payload", wrong


async def test_a_user_in_a_thousand_rooms_connects_and_disconnects(running: RtServer, device: Device) -> None:
    bob = await device("bob", "/chat")
    await bob.call("join", {"room": "r0999"})
    with sqlite3.connect(running.folder / "rtserver.db") as database:
        names = [f"r{number:04}" for number in range(1000)]
        database.executemany(
            "INSERT OR IGNORE INTO rooms (room, last_seq, active_at) VALUES (?, 0, 0)", [(name,) for name in names]
        )
        database.executemany(
            "INSERT INTO members (room, user_id, name, joined_at) VALUES (?, 'alice', 'Alice', 0)",
            [(name,) for name in names],
        )
    database.close()
    alice = await device("alice", "/chat")
    assert await bob.next("presence") == [{"user": "alice", "online": True}]
    assert (await alice.call("online"))["online"] == ["alice", "bob"]
    await alice.disconnect()
    assert await bob.next("presence") == [{"user": "alice", "online": False}]
    assert len(bob.received("presence")) == 2
