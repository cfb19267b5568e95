"""What a client was doing when the server disconnected it: nothing of it is saved."""

import asyncio
from typing import Any

import pytest

from rtserver.namespaces.chat import Chat
from rtserver.namespaces.chat.access import Access
from tests.namespaces.chat.conftest import Join
from tests.support.eventually import eventually

ROOM = {"room": "general"}


class Gate:
    """Pauses the first check of access, which every event makes before it changes something."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        policy = Access.policy
        passed = False

        async def held(access: Access, room: str) -> str:
            nonlocal passed
            found = await policy(access, room)
            if not passed:
                passed = True
                self.reached.set()
                await self.open.wait()
            return found

        monkeypatch.setattr(Access, "policy", held)


async def state(chat: Chat) -> list[Any]:
    """All that the room has, as an observer would find it."""
    messages, _ = await chat._messages.history("general", before=None, after=None, limit=100)
    rooms = chat._rooms
    return [
        messages,
        await rooms.members("general"),
        await rooms.read_states("eve", ["general"]),
        await rooms.rooms_of("eve"),
        await chat.room_admin.describe("general"),
    ]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        ("message", {"text": "too late"}),
        ("edit", {"text": "too late"}),
        ("delete", {}),
        ("react", {"emoji": "👍", "on": True}),
        ("read", {"seq": 2}),
        ("join", {"room": "another"}),
        ("configure", {"readOnly": True}),
    ],
)
async def test_a_running_event_of_a_client_that_is_kicked_changes_nothing(
    chat: Chat, person: Join, monkeypatch: pytest.MonkeyPatch, event: str, payload: dict[str, Any]
) -> None:
    eve, bob = await person("eve:moderator"), await person("bob")
    for client in (eve, bob):
        await client.call("join", ROOM)
    mine = (await eve.call("message", ROOM | {"text": "mine"}))["message"]
    await bob.call("message", ROOM | {"text": "his"})
    before = await state(chat)
    gate = Gate(monkeypatch)
    named = {"id": mine["id"]} if event in ("edit", "delete", "react") else {}
    await eve.emit(event, ROOM | named | payload)
    await eve.emit("message", ROOM | {"text": "waits behind it"})
    await gate.reached.wait()
    [client] = [one for one in chat.clients.values() if one.user == "eve"]
    await client.disconnect(close=True)
    gate.open.set()
    await eventually(lambda: client.event_queue.idle)
    assert await state(chat) == before
    assert not [told for (told,) in bob.received("messageEdited") + bob.received("messageDeleted")]


async def test_a_client_that_leaves_by_itself_loses_no_message(chat: Chat, person: Join) -> None:
    eve, bob = await person("eve"), await person("bob")
    for client in (eve, bob):
        await client.call("join", ROOM)
    for number in range(20):
        await eve.emit("message", ROOM | {"text": f"{number}"})
    await eve.disconnect()
    assert [(await bob.next("message"))[0]["text"] for _ in range(20)] == [f"{number}" for number in range(20)]
