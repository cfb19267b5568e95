"""Rooms that only members may join."""

from collections.abc import Awaitable, Callable

from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer


async def test_with_the_members_policy_strangers_are_kept_out_and_direct_messages_go_on(
    server: Callable[..., Awaitable[RtServer]], js: Callable[..., Awaitable[JsClient]]
) -> None:
    running = await server(CHAT_ROOM_POLICY="members")
    alice = await js(running.url, "/chat", token=running.token("alice"), transports=["websocket"])
    assert (await alice.call("join", {"room": "board"}))["error"]["code"] == "forbidden"
    assert (await alice.call("message", {"room": "board", "text": "x"}))["error"]["code"] == "room_not_joined"
    assert (await alice.call("message", {"to": "bob", "text": "x"}))["ok"]
