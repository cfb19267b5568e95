"""Access policies of rooms."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer


async def test_the_members_policy_rejects_others_but_not_direct_messages(
    server: Callable[..., Awaitable[RtServer]], js: Callable[..., Awaitable[JsClient]]
) -> None:
    running = await server(CHAT_ROOM_POLICY="members")
    alice = await js(running.url, "/chat", token=running.token("alice"), transports=["websocket"])
    assert (await alice.call("join", {"room": "board"}))["error"]["code"] == "forbidden"
    assert (await alice.call("message", {"room": "board", "text": "x"}))["error"]["code"] == "room_not_joined"
    assert (await alice.call("message", {"to": "bob", "text": "x"}))["ok"]


async def test_a_role_can_be_the_default_policy(
    server: Callable[..., Awaitable[RtServer]], js: Callable[..., Awaitable[JsClient]]
) -> None:
    running = await server(CHAT_ROOM_POLICY="role:Staff", CHAT_SWEEP_SECONDS="0.2")
    alice = await js(running.url, "/chat", token=running.token("alice"), transports=["websocket"])
    sue = await js(running.url, "/chat", token=running.token("sue", roles=("Staff", "moderator")))
    assert (await alice.call("join", {"room": "board"}))["error"]["code"] == "forbidden"
    assert (await sue.call("join", {"room": "board"}))["ok"]
    assert (await sue.call("room", {"room": "board"}))["room"]["policy"] == "role:Staff"
    assert (await alice.call("message", {"to": "bob", "text": "x"}))["ok"]
    await _keeps_only_what_it_is_set_to(sue)


async def _keeps_only_what_it_is_set_to(sue: JsClient) -> None:
    for number in range(5):
        await sue.call("message", {"room": "board", "text": f"{number}"})
    await sue.call("configure", {"room": "board", "keepCount": 2})
    async with asyncio.timeout(20):
        while (await sue.call("room", {"room": "board"}))["room"]["firstSeq"] != 4:  # noqa: ASYNC110
            await asyncio.sleep(0.05)  # within the rate of a client
    assert [message["seq"] for message in (await sue.call("history", {"room": "board"}))["messages"]] == [4, 5]
    assert (await sue.call("message", {"room": "board", "text": "next"}))["message"]["seq"] == 6
