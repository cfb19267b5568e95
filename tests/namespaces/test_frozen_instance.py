"""An instance that stands still (SIGSTOP) and goes on: it must not undo what its clients did elsewhere meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.support.js_client import JsClient
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer

Js = Callable[..., Awaitable[JsClient]]
GIVES_UP = {"reconnection": False, "transports": ["websocket"]}


@pytest.fixture
async def frozen_and_other(
    server: Callable[..., Awaitable[RtServer]], redis_server: RedisServer
) -> Callable[..., Awaitable[tuple[RtServer, RtServer]]]:
    async def start(**settings: Any) -> tuple[RtServer, RtServer]:
        settings = {"REDIS_URL": redis_server.url, "RATE_EVENTS": "100000/s"} | settings
        first = await server(**settings)
        settings["DATABASE_URL"] = first.env["RTSERVER_DATABASE_URL"]
        return first, await server(**settings, migrate=False)

    return start


async def _joined(js: Js, server: RtServer, user: str, **options: Any) -> JsClient:
    client = await js(server.url, "/chat", token=server.token(user), **{**GIVES_UP, **options})
    assert (await client.call("join", {"room": "general"}))["ok"]
    return client


async def _goes_on(server: RtServer) -> None:
    """Let it run, and wait until it has handled what waited."""
    server.resume()
    async with aiohttp.ClientSession() as http:
        for _ in range(3):
            assert (await http.get(f"{server.url}/healthz")).status == 200
    await asyncio.sleep(0.3)  # what is in its queues of the database


async def _text_of(client: JsClient, id_: str) -> str:
    history = await client.call("history", {"room": "general"})
    return next(message["text"] for message in history["messages"] if message["id"] == id_)


async def test_edits_of_clients_that_timed_out_do_not_undo_what_they_did_elsewhere(
    frozen_and_other: Callable[..., Awaitable[tuple[RtServer, RtServer]]], js: Js
) -> None:
    frozen, other = await frozen_and_other(PING_INTERVAL=1, PING_TIMEOUT=1)
    before = await _joined(js, frozen, "alice")
    watcher = await _joined(js, other, "bob")
    ids = [(await before.call("message", {"room": "general", "text": "first"}))["message"]["id"] for _ in range(3)]
    frozen.pause()
    for id_ in ids:
        await before.emit("edit", {"room": "general", "id": id_, "text": "given up"})
    await before.emit("typing", {"room": "general", "typing": True})
    assert await before.disconnected(20) == "ping timeout"
    after = await _joined(js, other, "alice")
    for id_ in ids:
        assert (await after.call("edit", {"room": "general", "id": id_, "text": "in force"}))["ok"]
    await asyncio.sleep(1)  # the stall is to be clearly longer than the client's patience
    await _goes_on(frozen)
    assert [await _text_of(watcher, id_) for id_ in ids] == ["in force"] * 3
    assert [edited["text"] for [edited] in watcher.received("messageEdited")] == ["in force"] * 3
    assert watcher.received("typing") == []


async def test_an_edit_that_waited_while_the_message_was_edited_elsewhere_is_a_conflict(
    frozen_and_other: Callable[..., Awaitable[tuple[RtServer, RtServer]]], js: Js
) -> None:
    """The user's patience is shorter than the heartbeat's."""
    frozen, other = await frozen_and_other()
    tablet, phone = await _joined(js, frozen, "alice"), await _joined(js, other, "alice")
    first, second = [
        (await phone.call("message", {"room": "general", "text": "first"}))["message"]["id"] for _ in range(2)
    ]
    frozen.pause()
    waiting = [
        asyncio.create_task(tablet.call("edit", {"room": "general", "id": id_, "text": "older"}, seconds=30))
        for id_ in (first, second)
    ]
    await asyncio.sleep(1.5)
    assert (await phone.call("edit", {"room": "general", "id": first, "text": "newer"}))["ok"]
    await asyncio.sleep(0.5)
    await _goes_on(frozen)
    refused, saved = [await task for task in waiting]
    assert refused["error"]["code"] == "conflict"
    assert saved["message"]["text"] == "older", "nobody else has edited it"
    assert await _text_of(phone, first) == "newer"
    # Afterwards edits are what they always were.
    again = await tablet.call("edit", {"room": "general", "id": second, "text": "once more"})
    assert again["message"]["text"] == "once more"
