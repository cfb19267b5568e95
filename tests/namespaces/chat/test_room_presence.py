"""Room presence: clients currently in a room, as opposed to members; for clients and for backends over HTTP."""

import asyncio
from typing import Any
from urllib.parse import quote

from tests.namespaces.backend import Backend
from tests.namespaces.conftest import Device
from tests.support.eventually import eventually
from tests.support.rtserver_process import RtServer


async def test_members_and_backends_see_the_clients_in_a_room(running: RtServer, device: Device) -> None:
    backend, where = Backend(running), "/api/rooms/team%2Fred/presence"
    phone, laptop, bob, carol = [await device(user, "/chat") for user in ("alice", "alice", "bob", "carol")]
    for client in (phone, laptop, bob, carol):
        ack = await client.call("join", {"room": "team/red"})
    assert {member["id"]: member["here"] for member in ack["members"]} == dict.fromkeys(("alice", "bob", "carol"), True)

    async def devices(query: str = "") -> Any:
        _, told = await backend.get(where + query)
        assert told["partial"] is False
        return {user["id"]: user["devices"] for user in told["users"]}, told["next"]

    assert await devices() == ({"alice": 2, "bob": 1, "carol": 1}, None)
    assert await devices("?limit=2") == ({"alice": 2, "bob": 1}, "bob")
    assert await devices("?limit=2&cursor=bob") == ({"carol": 1}, None)

    # Away, but still a member; gone with every device, and no member any more.
    await bob.disconnect()
    await laptop.disconnect()
    await carol.call("leave", {"room": "team/red"})

    async def alone() -> bool:
        return bool(await devices() == ({"alice": 1}, None))

    await eventually(alone)
    members = (await phone.call("members", {"room": "team/red"}))["members"]
    assert {member["id"]: member["here"] for member in members} == {"alice": True, "bob": False}
    await bob.connect()
    members = (await phone.call("members", {"room": "team/red"}))["members"]
    assert [(one["online"], one["here"]) for one in members if one["id"] == "bob"] == [(True, False)]
    await backend.delete("/api/rooms/team%2Fred/members/alice")
    assert await devices() == ({}, None)

    # Rooms of one client and direct conversations have nobody in them, nor what does not exist.
    await phone.call("message", {"to": "bob", "text": "hello"})
    for room in ("user:alice", "dm:alice:bob", phone.id, "nowhere", "é" * 1000):
        told = {"ok": True, "users": [], "next": None, "partial": False}
        assert await backend.get(f"/api/rooms/{quote(room, safe='')}/presence") == (200, told), room
    for query in ("limit=0", "limit=1001", "cursor=", "user=alice"):
        assert await backend.get(f"{where}?{query}") == (400, "invalid_payload"), query
    assert await Backend(running, running.token("alice")).get(where) == (403, "forbidden")


async def test_many_rooms_with_long_names_are_all_left(running: RtServer, device: Device) -> None:
    """One client joins hundreds of rooms, and connects and disconnects without a pause."""
    alice, backend = await device("alice", "/chat"), Backend(running)
    rooms = [f"{number:03}".ljust(200, "é") for number in range(300)]
    await asyncio.gather(*(alice.call("join", {"room": room}) for room in rooms))
    for room in rooms[:10]:
        calls = ("leave", "join") * 5 + ("leave",)
        await asyncio.gather(*(alice.call(event, {"room": room}) for event in calls))

    async def users(room: str) -> list[str]:
        _, told = await backend.get(f"/api/rooms/{quote(room)}/presence")
        return [user["id"] for user in told["users"]]

    assert [await users(room) for room in (rooms[0], rooms[9], rooms[10], rooms[-1])] == [[], [], ["alice"], ["alice"]]
    await alice.disconnect()

    async def deserted() -> bool:
        return await users(rooms[10]) == [] == await users(rooms[-1])

    await eventually(deserted)
