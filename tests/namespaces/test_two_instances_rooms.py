"""Rooms on two servers: changes made on one apply on the other at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.namespaces.backend import Backend
from tests.namespaces.test_two_instances import ON_BOTH, Js, Pair, device, pair
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

__all__ = ["device", "pair"]

pytestmark = ON_BOTH


async def test_settings_of_one_server_apply_on_the_other_at_once(pair: Pair, js: Js) -> None:
    async def connect(at: int, user: str, *roles: str):  # type: ignore[no-untyped-def]
        token = pair[at].token(user, roles=roles)
        return await js(pair[at].url, "/chat", token=token, transports=["websocket"])

    mod, bob = await connect(0, "mod", "moderator"), await connect(1, "bob")
    sue = await connect(1, "sue", "staff")
    for client in (mod, bob, sue):
        await client.call("join", {"room": "board"})
    assert (await bob.call("message", {"room": "board", "text": "before"}))["ok"]  # it knows the room now
    for changes, code in (({"readOnly": True}, "forbidden"), ({"readOnly": False, "slowSeconds": 900}, "rate_limited")):
        await mod.call("configure", {"room": "board", **changes})
        await bob.next("roomChanged")
        assert (await bob.call("message", {"room": "board", "text": "x"}))["error"]["code"] == code
    backend = Backend(pair[0])
    await backend.post("/api/messages", {"room": "board", "text": "after", "from": {"id": "shop"}})
    await backend.patch("/api/rooms/board", {"keepCount": 1})
    await bob.next("roomChanged")

    async def kept() -> list[int]:
        return [message["seq"] for message in (await bob.call("history", {"room": "board"}))["messages"]]

    assert await kept() in ([1, 2], [2])
    await eventually(lambda: has(kept, [2]))
    await backend.patch("/api/rooms/board", {"policy": "role:staff"})
    assert await bob.next("left") == [{"room": "board", "user": "bob"}]
    assert (await bob.call("history", {"room": "board"}))["error"]["code"] == "forbidden"
    assert (await sue.call("history", {"room": "board"}))["ok"]
    await backend.patch("/api/rooms/board", {"policy": "members", "slowSeconds": None})
    while (await sue.next("roomChanged"))[0].get("policy") != "members":
        pass
    assert (await bob.call("join", {"room": "board"}))["ok"]
    await backend.delete("/api/rooms/board/members/bob")
    assert (await bob.next("left"))[0]["user"] == "bob"
    assert (await bob.call("typing", {"room": "board", "typing": True}))["error"]["code"] == "room_not_joined"
    assert (await bob.call("join", {"room": "board"}))["error"]["code"] == "forbidden"


async def test_a_member_removed_while_joining_is_out(pair: Pair, js: Js) -> None:
    backend = Backend(pair[0])
    bob = await js(pair[1].url, "/chat", token=pair[1].token("bob"), transports=["websocket"])
    await backend.patch("/api/rooms/board", {"policy": "members"})
    for _ in range(10):
        await backend.put("/api/rooms/board/members/bob", {})
        await asyncio.gather(bob.call("join", {"room": "board"}), backend.delete("/api/rooms/board/members/bob"))
        await bob.next("left")
        refused = await bob.call("typing", {"room": "board", "typing": True})
        assert refused["error"]["code"] == "room_not_joined"


async def test_a_member_removed_while_redis_is_down_is_out_once_it_is_back(
    pair: Pair, js: Js, redis_server: RedisServer
) -> None:
    backend = Backend(pair[0])
    bob = await js(pair[1].url, "/chat", token=pair[1].token("bob"), transports=["websocket"])
    for room, changes in (("board", {"policy": "members"}), ("staff", {"policy": "open"})):
        await backend.patch(f"/api/rooms/{room}", changes)
        await backend.put(f"/api/rooms/{room}/members/bob", {})
        assert (await bob.call("join", {"room": room}))["ok"]
    redis_server.kill()

    async def gone() -> bool:
        async with aiohttp.ClientSession() as http:
            answers = [(await http.get(f"{server.url}/readyz")).status for server in pair]
        return answers == [503, 503]

    await eventually(gone)
    await backend.delete("/api/rooms/board/members/bob")
    await backend.patch("/api/rooms/staff", {"policy": "role:staff"})
    redis_server.start()
    out = [(await bob.next("left"))[0]["room"] for _ in range(2)]
    assert sorted(out) == ["board", "staff"]
    assert (await bob.call("history", {"room": "board"}))["error"]["code"] == "room_not_joined"


async def has(found: Callable[[], Awaitable[Any]], wanted: Any) -> bool:
    return bool(await found() == wanted)
