"""Erasure of a user on two servers, as other users see it."""

import asyncio

import pytest

from tests.namespaces.backend import Backend
from tests.namespaces.test_two_instances import Js, Pair, pair
from tests.support.js_client import JsClient

__all__ = ["pair"]


@pytest.mark.parametrize(("pair", "at"), [("sqlite", 0), ("postgres", 1)], indirect=["pair"])
async def test_a_user_is_erased_on_two_servers(pair: Pair, js: Js, at: int) -> None:
    async def connect(server: int, user: str, namespace: str = "/chat", *roles: str) -> JsClient:
        token = pair[server].token(user, name=f"{user} Person", roles=roles)
        return await js(pair[server].url, namespace, token=token, transports=["websocket"])

    eve, bob = await connect(0, "eve"), await connect(1, "bob")
    inbox, admin = await connect(1, "eve", "/notifications"), await connect(1, "root", "/admin", "admin")
    for client in (eve, bob):
        await client.call("join", {"room": "lobby"})
    said = (await eve.call("message", {"room": "lobby", "text": "secret @bob"}))["message"]
    bobs = (await bob.call("message", {"room": "lobby", "text": "hi"}))["message"]
    await eve.call("react", {"room": "lobby", "id": bobs["id"], "emoji": "👍", "on": True})
    await eve.call("message", {"to": "bob", "text": "direct secret"})

    backend = Backend(pair[at])
    status, answer = await backend.delete("/api/users/eve")
    assert (status, answer["done"]) == (200, True)
    assert (answer["counts"]["messages"], answer["counts"]["reactions"], answer["counts"]["rooms"]) == (2, 1, 2)
    for client in (eve, inbox):
        await client.disconnected()
    assert await bob.next("left") == [{"room": "lobby", "user": "eve"}]
    tombstones = {told["room"]: told for told in [(await bob.next("messageDeleted"))[0] for _ in range(2)]}
    assert set(tombstones) == {"lobby", "dm:bob:eve"}
    gone = tombstones["lobby"]
    assert (gone["id"], gone["seq"], gone["text"], gone["from"]) == (said["id"], 1, "", {"id": "", "name": ""})
    await bob.next("reaction")
    [taken_back] = await bob.next("reaction")
    assert (taken_back["id"], taken_back["on"], taken_back["reactions"]) == (bobs["id"], False, [])
    [entry] = await admin.next("log")
    assert (entry["event"], entry["by"], "'eve'" in str(entry)) == ("forget", "api key", False)

    history = (await bob.call("history", {"room": "lobby"}))["messages"]
    assert [(message["seq"], message["from"]["id"]) for message in history] == [(1, ""), (2, "bob")]
    assert [member["id"] for member in (await bob.call("members", {"room": "lobby"}))["members"]] == ["bob"]
    assert (await bob.call("search", {"query": "secret"}))["messages"] == []
    assert (await backend.get("/api/users/bob/notifications"))[1]["notifications"] == []
    again = await asyncio.gather(*(Backend(server).delete("/api/users/eve") for server in pair))
    assert again == [(200, {"ok": True, "done": True, "counts": {}})] * 2

    back = await connect(0, "eve")
    assert (await back.call("rooms"))["rooms"] == []
    await back.call("message", {"to": "bob", "text": "I am new"})
    assert [one["room"] for one in (await back.call("rooms"))["rooms"]] == ["dm:bob:eve"]
    user = Backend(pair[0], pair[0].token("bob"))
    assert await user.delete("/api/users/bob") == (403, "forbidden")
