"""Typing that ends by itself; in the test's own process, where the clock can be short."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rtserver.namespaces.chat import Chat, typing_indicator
from tests.namespaces.chat.conftest import Join
from tests.namespaces.chat.test_namespace import settled
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


async def test_it_ends_by_itself_and_nothing_is_left_behind(
    chat: Chat, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typing_indicator, "TYPING_SECONDS", 0.05)
    alice, bob = pair
    await type_(alice)
    await type_(alice, to="bob")
    heard = [(await bob.next("typing"))[0] for _ in range(4)]
    direct = BEGAN | {"room": "dm:alice:bob"}
    assert [told for told in heard if told["typing"]] == [BEGAN, direct]
    assert [told for told in heard if not told["typing"]] == [ENDED, direct | {"typing": False}]
    assert not len(chat._typing)


async def test_going_on_keeps_it_up_and_is_not_told_each_time(chat: Chat, pair: Pair) -> None:
    alice, bob = pair
    for _ in range(20):
        await type_(alice)
    await settled(bob)
    assert bob.received("typing") == [[BEGAN]]
    await type_(alice, False)
    assert (await bob.next("typing", where=lambda told: not told["typing"])) == [ENDED]
    assert not len(chat._typing)


@pytest.mark.parametrize("how", ["message", "leave", "disconnect"])
async def test_it_ends_with_what_ends_it(chat: Chat, pair: Pair, how: str) -> None:
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


async def test_a_message_of_who_did_not_type_tells_nobody_of_typing(pair: Pair) -> None:
    alice, bob = pair
    await type_(bob)
    await alice.call("message", {**ROOM, "text": "done"})
    await settled(bob)
    assert not bob.received("typing")


async def test_one_connection_cannot_type_everywhere(chat: Chat, person: Callable[[str], Awaitable[JsClient]]) -> None:
    alice = await person("alice")
    await asyncio.gather(*(type_(alice, to=f"user{number}") for number in range(typing_indicator.MAX_PER_CLIENT + 50)))
    assert len(chat._typing) == typing_indicator.MAX_PER_CLIENT
    await alice.disconnect()
    other = await person("bob")
    await settled(other)
    assert not len(chat._typing)
