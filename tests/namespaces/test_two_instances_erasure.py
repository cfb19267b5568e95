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


@pytest.mark.parametrize("pair", ["sqlite", "postgres"], indirect=["pair"])
async def test_nothing_of_an_erased_user_is_left_whatever_was_under_way(pair: Pair, js: Js) -> None:
    """Devices on both servers that send as fast as they can: some leave, some stay, some come back at once."""
    bob = await js(pair[0].url, "/chat", token=pair[0].token("bob"), transports=["websocket"])
    await bob.call("join", {"room": "lobby"})
    for number in range(4):
        eve = f"eve{number}"
        devices = [
            await js(server.url, "/chat", token=server.token(eve), transports=["websocket"])
            for server in pair
            for _ in range(2)
        ]
        other = await js(pair[1].url, "/notifications", token=pair[1].token(eve), transports=["websocket"])
        for one in devices:
            await one.call("join", {"room": "lobby"})
        for one in devices:
            for at in range(100):
                await one.emit("message", {"room": "lobby", "text": f"@bob {eve} {at}", "nonce": f"{one.id}{at}"})
                await one.emit("message", {"to": "bob", "text": f"{eve} {at}"})
        await other.emit("setPreferences", {"mutedTypes": [eve]})
        await devices[0].disconnect()
        status, answer = await Backend(pair[number % 2]).delete(f"/api/users/{eve}")
        assert (status, answer["done"]) == (200, True)
        for one in devices[1:]:
            await one.disconnected()
        for server in pair:
            for room in ("lobby", f"dm:bob:{eve}"):
                status, page = await Backend(server).get(f"/api/rooms/{room}/messages?limit=1000")
                found = page["messages"] if status == 200 else []
                assert not [message for message in found if message["from"]["id"] == eve or eve in message["text"]]
            assert (await Backend(server).get(f"/api/users/{eve}/notifications"))[1].get("notifications", []) == []
        members = (await bob.call("members", {"room": "lobby"}))["members"]
        assert eve not in [member["id"] for member in members]
        again = await Backend(pair[0]).delete(f"/api/users/{eve}")
        assert again == (200, {"ok": True, "done": True, "counts": {}})


async def test_a_user_is_refused_while_being_erased_and_may_come_back_then(pair: Pair, js: Js) -> None:
    eve = await js(pair[1].url, "/chat", token=pair[1].token("eve"), transports=["websocket"])
    await eve.call("join", {"room": "lobby"})
    for _ in range(5):
        assert (await Backend(pair[0]).delete("/api/users/eve"))[1]["done"]
        await eve.disconnected()
        await eve.connect()
        assert (await eve.call("rooms"))["rooms"] == []
        await eve.call("join", {"room": "lobby"})
