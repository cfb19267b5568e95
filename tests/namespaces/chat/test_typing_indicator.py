"""The typing indicator, in the test's own process with short times."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from rtserver.namespaces.chat import Chat, typing_indicator
from tests.namespaces.chat.conftest import Join
from tests.namespaces.chat.test_namespace import settled
from tests.support.eventually import eventually
from tests.support.js_client import JsClient

BEGAN = {"room": "general", "user": "alice", "typing": True}
ENDED = BEGAN | {"typing": False}
ROOM = {"room": "general"}


@pytest.fixture
async def pair(person: Join) -> tuple[JsClient, JsClient]:
    clients = await person("alice"), await person("bob")
    for client in clients:
        await client.call("join", ROOM)
    return clients


Pair = tuple[JsClient, JsClient]


async def type_(client: JsClient, on: bool = True, **place: str) -> None:
    assert await client.call("typing", {**(place or ROOM), "typing": on}) == {"ok": True}


async def test_typing_expires_and_leaves_no_state(chat: Chat, pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(typing_indicator, "TYPING_SECONDS", 0.05)
    alice, bob = pair
    await type_(alice)
    await type_(alice, to="bob")
    heard = [(await bob.next("typing"))[0] for _ in range(4)]
    direct = BEGAN | {"room": "dm:alice:bob"}
    assert [told for told in heard if told["typing"]] == [BEGAN, direct]
    assert [told for told in heard if not told["typing"]] == [ENDED, direct | {"typing": False}]
    assert not len(chat._typing)


async def test_continued_typing_is_prolonged_but_not_broadcast_each_time(chat: Chat, pair: Pair) -> None:
    alice, bob = pair
    for _ in range(20):
        await type_(alice)
    await settled(bob)
    assert bob.received("typing") == [[BEGAN]]
    await type_(alice, False)
    assert (await bob.next("typing", where=lambda told: not told["typing"])) == [ENDED]
    assert not len(chat._typing)


@pytest.mark.parametrize("how", ["message", "leave", "disconnect"])
async def test_typing_ends_with_message_leave_or_disconnect(chat: Chat, pair: Pair, how: str) -> None:
    alice, bob = pair
    await type_(alice)
    if how == "message":
        await alice.call("message", {**ROOM, "text": "done"})
    elif how == "leave":
        await alice.call("leave", ROOM)
    else:
        await alice.disconnect()
    assert await bob.next("typing", where=lambda told: not told["typing"]) == [ENDED]
    assert not len(chat._typing)
    assert not alice.received("typing")


async def test_a_message_without_typing_broadcasts_no_typing(pair: Pair) -> None:
    alice, bob = pair
    await type_(bob)
    await alice.call("message", {**ROOM, "text": "done"})
    await settled(bob)
    assert not bob.received("typing")


async def test_typing_is_bounded_per_connection(chat: Chat, person: Callable[[str], Awaitable[JsClient]]) -> None:
    alice = await person("alice")
    await asyncio.gather(*(type_(alice, to=f"user{number}") for number in range(typing_indicator.MAX_PER_CLIENT + 50)))
    assert len(chat._typing) == typing_indicator.MAX_PER_CLIENT
    await alice.disconnect()
    other = await person("bob")
    await settled(other)
    assert not len(chat._typing)


async def test_what_a_client_sent_before_it_left_leaves_no_state_behind_and_no_message_is_lost(
    chat: Chat, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, bob = pair
    entered, gate, history = asyncio.Event(), asyncio.Event(), chat._messages.history

    async def slow(*args: Any, **options: Any) -> Any:
        entered.set()
        await gate.wait()
        return await history(*args, **options)

    monkeypatch.setattr(chat._messages, "history", slow)
    await alice.emit("history", ROOM)
    await alice.emit("typing", ROOM | {"typing": True})
    await alice.emit("join", {"room": "late"})
    await alice.emit("message", ROOM | {"text": "last words"})
    await entered.wait()
    await alice.disconnect()
    # The disconnect does not wait for the history: by now presence counts the device no more.
    await eventually(lambda: not chat._online._presence._devices.has("alice"))
    gate.set()
    assert (await bob.next("message"))[0]["text"] == "last words"
    await settled(bob)
    assert not bob.received("typing")
    assert not len(chat._typing)
    assert "late" not in await chat.all_rooms()
    assert await chat.occupants("late") == []


async def test_who_starts_and_stops_all_the_time_is_broadcast_a_few_times(
    chat: Chat, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing_indicator, "TYPING_SECONDS", 0.2)
    alice, bob = pair
    for number in range(100):
        await type_(alice, number % 2 == 0)
    await eventually(lambda: not len(chat._typing))
    await settled(bob)
    heard = [told["typing"] for [told] in bob.received("typing")]
    assert heard[:4] == [True, False, True, False]
    assert len(heard) <= 8
    assert heard[-1] is False


async def test_stops_without_a_start_are_broadcast_a_few_times(chat: Chat, pair: Pair) -> None:
    alice, bob = pair
    for _ in range(100):
        await type_(alice, False)
    await settled(bob)
    assert 1 <= len(bob.received("typing")) <= 8
