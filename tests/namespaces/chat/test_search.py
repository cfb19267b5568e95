"""Search in /chat."""

from typing import Any

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
