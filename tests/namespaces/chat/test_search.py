"""Search in /chat."""

import asyncio
from typing import Any, cast

from rtserver.namespaces.chat.namespace import Chat
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS
from rtserver.store.messages.search import Search
from tests.namespaces.chat.conftest import Join
from tests.namespaces.chat.test_namespace import joined
from tests.namespaces.conftest import Device
from tests.support.js_client import JsClient


async def found(client: JsClient, query: str, **options: Any) -> list[str]:
    ack = await client.call("search", {"query": query, **options})
    assert ack["ok"], ack
    return [message["text"] for message in ack["messages"]]


async def test_users_find_the_current_text_of_messages_they_may_read(device: Device) -> None:
    alice, bob = await joined(device, "alice", "bob")
    carol = await device("carol", "/chat")
    sent = [
        (await alice.call("message", {"room": "general", "text": f"The blue whale {number}"}))["message"]
        for number in range(4)
    ]
    await alice.call("message", {"to": "bob", "text": "a blue secret"})
    assert await found(bob, "BLUE") == ["a blue secret", *(f"The blue whale {number}" for number in (3, 2, 1, 0))]
    assert await found(bob, "whal blu") == []
    assert await found(bob, "whale 2") == ["The blue whale 2"]
    assert await found(bob, "blue", room="dm:alice:bob") == ["a blue secret"]
    assert await found(carol, "blue") == []
    for room, code in (("general", "room_not_joined"), ("dm:alice:bob", "invalid_payload")):
        assert (await carol.call("search", {"query": "blue", "room": room}))["error"]["code"] == code
    await alice.call("edit", {"room": "general", "id": sent[0]["id"], "text": "The red whale"})
    await alice.call("delete", {"room": "general", "id": sent[1]["id"]})
    assert await found(bob, "whale", room="general") == ["The blue whale 3", "The blue whale 2", "The red whale"]
    page = await bob.call("search", {"query": "whale", "limit": 2})
    assert len(page["messages"]) == 2
    rest = await bob.call("search", {"query": "whale", "limit": 2, "cursor": page["next"]})
    assert ([m["id"] for m in rest["messages"]], rest["next"]) == ([sent[0]["id"]], None)
    await bob.call("leave", {"room": "general"})
    assert await found(bob, "whale") == []


async def test_searches_of_one_user_on_many_sockets_delay_nobody(chat: Chat, person: Join) -> None:
    eve = [await person("eve") for _ in range(8)]
    ann = await person("ann")
    for client in (eve[0], ann):
        await client.call("join", {"room": "general"})
    await ann.call("message", {"room": "general", "text": "去北京"})
    database, release = cast("Search", chat._search)._db, asyncio.Event()
    busy = [
        asyncio.create_task(database.read_expensive(lambda _: release.wait(), 60)) for _ in range(EXPENSIVE_CONNECTIONS)
    ]
    asked = {asyncio.create_task(client.call("search", {"query": "去北京" * 66, "room": "general"})) for client in eve}
    refused: set[asyncio.Task[Any]] = set()
    while len(refused) < 4:
        done, _ = await asyncio.wait(asked - refused, return_when=asyncio.FIRST_COMPLETED)
        refused |= done
    for task in refused:
        error = task.result()["error"]
        assert (error["code"], error["retryAfter"]) == ("rate_limited", 1.0)
    for _ in range(10):
        assert len((await ann.call("history", {"room": "general"}))["messages"]) == 1
        assert (await ann.call("message", {"to": "eve", "text": "hi"}))["ok"]
    release.set()
    await asyncio.gather(*busy)
    for answer in await asyncio.gather(*(asked - refused)):
        assert answer["ok"] or answer["error"]["code"] == "timeout"
    assert await found(eve[0], "北京") == ["去北京"]
