"""kill -9 between commit and broadcast: those who stayed connected to another server hear what was saved."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.namespaces.backend import Backend
from tests.support.failpoint import FATAL
from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Js = Callable[..., Awaitable[JsClient]]
Start = Callable[..., Awaitable[RtServer]]
HALL = {"room": "hall"}
NEVER = 600.0
"""Seconds of a lease that does not end in the test: nothing but the repeat can tell."""


async def servers(server: Start, redis_url: str, lease: float) -> tuple[RtServer, RtServer]:
    """The first one dies at the seam."""
    settings: dict[str, Any] = {"REDIS_URL": redis_url, "PRESENCE_LEASE": lease}
    mortal = await server(**settings, NAMESPACES="tests.support.failpoint:Failpoint")
    return mortal, await server(**settings, DATABASE_URL=mortal.env["RTSERVER_DATABASE_URL"], migrate=False)


async def joined(js: Js, at: RtServer, user: str) -> JsClient:
    client = await js(at.url, "/chat", token=at.token(user), transports=["websocket"], reconnection=False)
    assert (await client.call("join", HALL))["ok"]
    return client


async def die(mortal: RtServer, deed: Awaitable[Any]) -> None:
    """Do what the server does not survive."""
    doing = asyncio.ensure_future(deed)
    await mortal.exited()
    doing.cancel()
    await asyncio.wait({doing})


@pytest.mark.parametrize("lease", [2.0, NEVER], ids=["by itself", "when the nonce is repeated"])
async def test_members_hear_the_last_message_of_a_killed_server(
    server: Start, js: Js, redis_server: RedisServer, lease: float
) -> None:
    mortal, other = await servers(server, redis_server.url, lease)
    ada, bob = await joined(js, mortal, "ada"), await joined(js, other, "bob")
    assert (await ada.call("message", {**HALL, "text": "before"}))["ok"]
    await bob.next("message")
    await die(mortal, ada.emit("message", {**HALL, "text": FATAL, "nonce": "n"}))
    if lease == NEVER:
        again = await joined(js, other, "ada")
        answer = await again.call("message", {**HALL, "text": FATAL, "nonce": "n"})
        assert (answer["ok"], answer["message"]["seq"]) == (True, 2)
    [heard] = await bob.next("message")
    assert (heard["text"], heard["seq"]) == (FATAL, 2)
    assert (await bob.call("message", {**HALL, "text": "after"}))["message"]["seq"] == 3
    assert [one["seq"] for (one,) in bob.received("message")] == [1, 2]


async def test_members_hear_the_last_edit_of_a_killed_server(server: Start, js: Js, redis_server: RedisServer) -> None:
    mortal, other = await servers(server, redis_server.url, 2.0)
    ada, bob = await joined(js, mortal, "ada"), await joined(js, other, "bob")
    said = (await ada.call("message", {**HALL, "text": "before"}))["message"]
    await bob.next("message")
    edit = {**HALL, "id": said["id"], "text": FATAL}
    await die(mortal, ada.emit("edit", edit))
    [heard] = await bob.next("messageEdited")
    assert (heard["text"], heard["rev"]) == (FATAL, 1)


async def test_devices_get_the_last_notification_of_a_killed_server(
    server: Start, js: Js, redis_server: RedisServer
) -> None:
    mortal, other = await servers(server, redis_server.url, 2.0)
    bob = await js(other.url, "/notifications", token=other.token("bob"), transports=["websocket"])
    await bob.next("unread")
    body = {"user": "bob", "type": "t", "message": FATAL, "key": "k"}
    await die(mortal, _quiet(Backend(mortal).post("/api/notifications", body)))
    [note] = await bob.next("notification")
    assert (note["message"], note["seq"]) == (FATAL, 1)
    status, _ = await Backend(other).post("/api/notifications", {**body, "message": "after", "key": "l"})
    assert status == 200
    [note] = await bob.next("notification")
    assert note["message"] == "after"


async def _quiet(asking: Awaitable[Any]) -> None:
    try:
        await asking
    except aiohttp.ClientError:
        return
