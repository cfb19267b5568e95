"""Rooms on two servers: changes made on one apply on the other at once."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

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


@pytest.mark.parametrize("rounds", [15])
async def test_a_room_that_requires_a_role_tells_its_secrets_to_nobody_without_it(
    pair: Pair, js: Js, rounds: int
) -> None:
    """On the other server, which is told of the new policy by a message and must not show the new title before."""
    admin = await js(pair[0].url, "/chat", token=pair[0].token("root", roles=("admin",)), transports=["websocket"])
    people = [
        await js(server.url, "/chat", token=server.token(f"u{number}"), transports=["websocket"])
        for number in range(4)
        for server in pair
    ]
    staff = await js(pair[1].url, "/chat", token=pair[1].token("sue", roles=("staff",)), transports=["websocket"])
    for number in range(rounds):
        room = f"board-{number}"
        await asyncio.gather(*(one.call("join", {"room": room}) for one in (*people, staff)))
        changes = {"policy": "role:staff", "meta": {"title": f"secret {number}"}}
        assert (await admin.call("configure", {"room": room, **changes}))["ok"]
        await staff.call("message", {"room": room, "text": "secret, too"})
        [told] = await staff.next("roomChanged", where=lambda told, room=room: told["room"] == room)
        assert told["meta"] == changes["meta"]
    for one in people:
        for _ in range(rounds):
            await one.next("left")
        assert "secret" not in str([told for name in ("roomChanged", "message") for told in one.received(name)])


async def test_a_change_applies_on_the_other_server_when_it_is_acknowledged(pair: Pair, js: Js) -> None:
    mod = await js(pair[0].url, "/chat", token=pair[0].token("mod", roles=("moderator",)), transports=["websocket"])
    bob = await js(pair[1].url, "/chat", token=pair[1].token("bob"), transports=["websocket"])
    backend = Backend(pair[0])
    for client in (mod, bob):
        await client.call("join", {"room": "board"})
    for number in range(20):
        assert (await bob.call("message", {"room": "board", "text": f"{number}"}))["ok"]
        assert (await mod.call("configure", {"room": "board", "readOnly": True}))["ok"]
        assert (await bob.call("message", {"room": "board", "text": "x"}))["error"]["code"] == "forbidden"
        assert (await mod.call("configure", {"room": "board", "readOnly": False}))["ok"]
    for number in range(20):
        await backend.delete("/api/rooms/board/members/bob")
        await mod.call("message", {"room": "board", "text": f"without bob {number}"})
        await bob.next("left")
        assert (await bob.call("join", {"room": "board"}))["ok"]
    assert not [told for [told] in bob.received("message") if "without" in told["text"]]
