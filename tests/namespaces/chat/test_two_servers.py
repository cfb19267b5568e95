"""The whole chat on two servers with one database and one Redis."""

import asyncio
from typing import Any

from tests.namespaces.test_two_instances import ON_BOTH, Js, Pair, pair
from tests.support.js_client import JsClient

__all__ = ["pair"]

GENERAL = {"room": "general"}


async def unread(*devices: JsClient) -> list[tuple[int, int, int]]:
    """What each device shows of the room: unread, mentions, read cursor."""
    found = []
    for client in devices:
        [room] = [room for room in (await client.call("rooms"))["rooms"] if room["room"] == "general"]
        missed = (await client.call("sync", {"rooms": {"general": 0}}))["rooms"]["general"]
        assert (missed["unread"], missed["lastRead"]) == (room["unread"], room["lastRead"])
        found.append((room["unread"], room["mentions"], room["lastRead"]))
    return found


@ON_BOTH
async def test_two_servers_act_as_one_chat(pair: Pair, js: Js) -> None:
    async def device(at: int, user: str, namespace: str = "/chat") -> JsClient:
        token = pair[at].token(user, name=user.capitalize())
        client = await js(pair[at].url, namespace, token=token, transports=["websocket"])
        if namespace == "/chat":
            assert (await client.call("join", GENERAL))["ok"]
        return client

    alice, laptop, bob = await device(0, "alice"), await device(1, "alice"), await device(1, "bob")
    inbox = await device(0, "bob", "/notifications")

    # Messages, changes and typing reach the devices on the other server too.
    await alice.call("typing", {**GENERAL, "typing": True})
    assert (await bob.next("typing"))[0]["typing"] is True
    first = (await alice.call("message", {**GENERAL, "text": "hello @bob"}))["message"]
    assert await bob.next("message") == [first]
    assert (await bob.next("typing"))[0]["typing"] is False
    assert (await inbox.next("notification"))[0]["data"]["id"] == first["id"]
    edited = (await laptop.call("edit", {**GENERAL, "id": first["id"], "text": "hello, @bob"}))["message"]
    for other in (alice, bob):
        assert await other.next("messageEdited") == [edited]

    # Many changes from both at once: each takes one rev, and both tell the same in the end.
    async def react(client: JsClient, number: int) -> Any:
        payload = {**GENERAL, "id": first["id"], "emoji": f"e{number % 5}", "on": number % 3 != 0}
        return await client.call("react", payload)

    answers = await asyncio.gather(*(react(client, number) for number in range(20) for client in (alice, bob)))
    assert all(answer["ok"] for answer in answers)
    histories = [(await client.call("history", GENERAL))["messages"] for client in (alice, bob)]
    assert histories[0] == histories[1]
    told = [args[0]["rev"] for args in laptop.received("reaction")]
    assert sorted(told) == list(range(2, histories[0][0]["rev"] + 1))

    # What is unread is the same on all devices.
    for text in ("one", "two @alice", "three"):
        await bob.call("message", {**GENERAL, "text": text})
    assert await unread(alice, laptop) == [(3, 1, 0), (3, 1, 0)]
    await laptop.call("read", {**GENERAL, "seq": 2})
    assert await alice.next("read") == [{**GENERAL, "user": "alice", "seq": 2}]
    assert await unread(alice, laptop) == [(2, 1, 2), (2, 1, 2)]
    last = (await bob.call("history", GENERAL))["messages"][-1]
    await bob.call("delete", {**GENERAL, "id": last["id"]})
    for mine in (alice, laptop):
        assert (await mine.next("messageDeleted"))[0]["text"] == ""
    assert await unread(alice, laptop) == [(1, 1, 2), (1, 1, 2)]

    # And so is what is found, and what was missed.
    for client in (alice, bob):
        found = (await client.call("search", {"query": "bob"}))["messages"]
        assert [message["id"] for message in found] == [first["id"]]
        assert (await client.call("search", {"query": "three"}))["messages"] == []
    missed = [
        (await client.call("sync", {"rooms": {"general": {"seq": 1, "rev": 0}}}))["rooms"]["general"]
        for client in (alice, laptop)
    ]
    assert missed[0] == missed[1]
    assert [message["seq"] for message in missed[0]["messages"]] == [2, 3, 4]
    assert [message["id"] for message in missed[0]["changed"]] == [first["id"]]
