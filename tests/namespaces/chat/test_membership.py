"""Joining during concurrent changes of the room or of the member."""

import asyncio

import pytest

from rtserver.namespaces.chat import Chat
from rtserver.store.messages.records import Member
from rtserver.store.rooms.room_store import Rooms
from tests.namespaces.chat.conftest import Join


class Gate:
    """Pauses joins between the database and the room."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        join = Rooms.join

        async def held(rooms: Rooms, room: str, member: Member) -> bool:
            new = await join(rooms, room, member)
            self.reached.set()
            await self.open.wait()
            return new

        monkeypatch.setattr(Rooms, "join", held)


@pytest.fixture
async def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)


async def test_a_client_that_joins_while_a_role_becomes_required_receives_nothing(
    chat: Chat, person: Join, gate: Gate
) -> None:
    eve = await person("eve")
    joining = asyncio.create_task(eve.call("join", {"room": "board"}))
    await gate.reached.wait()
    await chat.room_admin.configure("board", {"policy": "role:staff"}, "admin")
    gate.open.set()
    assert (await joining)["error"]["code"] == "forbidden"
    await chat.to("board").emit("message", {})
    await eve.call("rooms")
    assert not eve.received("message")


async def test_a_member_removed_while_joining_is_not_in_the_room(chat: Chat, person: Join, gate: Gate) -> None:
    eve = await person("eve")
    joining = asyncio.create_task(eve.call("join", {"room": "board"}))
    await gate.reached.wait()
    await chat.room_admin.remove("board", ["eve"], "admin")
    gate.open.set()
    assert (await joining)["error"]["code"] == "room_not_joined"
    assert (await eve.call("typing", {"room": "board", "typing": True}))["error"]["code"] == "room_not_joined"
    assert (await eve.call("join", {"room": "board"}))["ok"], "it is open, after all"


@pytest.mark.parametrize("server_arguments", [{"max_rooms": 3}])
async def test_a_socket_in_too_many_rooms_becomes_no_member_of_another(chat: Chat, person: Join) -> None:
    eve = await person("eve")
    await chat.sockets_join("a", "b", "c")
    refused = (await eve.call("join", {"room": "d"}))["error"]
    assert (refused["code"], refused["message"]) == ("forbidden", "A connection may be in 3 rooms at most")
    assert (await eve.call("rooms", {}))["rooms"] == []


@pytest.mark.parametrize("server_arguments", [{"max_rooms": 2000}])
async def test_the_limit_of_rooms_may_be_above_the_default(chat: Chat, person: Join) -> None:
    eve = await person("eve")
    await chat.sockets_join(*map(str, range(1500)))
    assert (await eve.call("join", {"room": "board"}))["ok"]


async def test_a_stranger_who_joins_while_a_room_is_closed_becomes_no_member(
    chat: Chat, person: Join, gate: Gate
) -> None:
    eve = await person("eve")
    joining = asyncio.create_task(eve.call("join", {"room": "board"}))
    await gate.reached.wait()
    await chat.room_admin.configure("board", {"policy": "members"}, "admin")
    gate.open.set()
    assert (await joining)["error"]["code"] == "forbidden"
    assert await chat._rooms.members("board") == []
    assert await chat.occupants("board") == []


async def test_a_socket_is_in_a_room_only_from_the_last_check_on(
    chat: Chat, person: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Removed between the check of the membership and the entry: at no moment is the socket in the room."""
    eve = await person("eve")
    await chat.room_admin.configure("board", {"policy": "members"}, "admin")
    await chat.room_admin.add("board", [Member("eve", "Eve")], "admin")
    reached, gate, is_member = asyncio.Event(), asyncio.Event(), Rooms.is_member
    entered: list[str] = []

    async def held(rooms: Rooms, room: str, user: str) -> bool:
        found = await is_member(rooms, room, user)
        reached.set()
        await gate.wait()
        entered.extend(name for client in chat.clients.values() for name in client.rooms if name == "board")
        return found

    monkeypatch.setattr(Rooms, "is_member", held)
    joining = asyncio.create_task(eve.call("join", {"room": "board"}))
    await reached.wait()
    await chat.room_admin.remove("board", ["eve"], "admin")
    gate.set()
    assert (await joining)["error"]["code"] == "forbidden"
    assert not entered
    assert await chat.occupants("board") == []
