"""Orderly shutdown: the real process is asked to stop while real clients are connected."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rtserver.config.settings import Settings
from tests.support.js_client import JsClient
from tests.support.rtserver_process import RtServer

PLUGIN = """
import asyncio

from rtserver import Client, Namespace, event


class Work(Namespace, path="/work"):
    auth = "none"

    @event("work", rate=None)
    async def work(self, client: Client, seconds: float) -> dict:
        await client.emit("started")
        await asyncio.sleep(seconds)
        await client.emit("worked")
        return {"ok": True}

    @event("ask", rate=None)
    async def ask(self, client: Client) -> dict:
        await client.emit("started")
        await asyncio.sleep(0.3)
        return {"heard": await client.emit_with_ack("question", timeout=5)}
"""
TRANSPORTS = [["polling"], ["websocket"]]
BOTH = pytest.mark.parametrize("transports", TRANSPORTS, ids=lambda names: names[0])
Start = Callable[..., Awaitable[RtServer]]


@pytest.fixture
def start(server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    (tmp_path / "work_plugin.py").write_text(PLUGIN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return partial(server, NAMESPACES="work_plugin:Work")


async def opened(js: Any, server: RtServer, count: int, transports: list[str]) -> list[JsClient]:
    return [await js(f"{server.url}", "/work", transports=transports, reconnection=False) for _ in range(count)]


async def until_unready(http: aiohttp.ClientSession, server: RtServer) -> None:
    async with asyncio.timeout(10):
        while True:
            if (await http.get(f"{server.url}/readyz")).status == 503:
                return
            await asyncio.sleep(0.01)


async def handshake(http: aiohttp.ClientSession, server: RtServer) -> int:
    """Return the status of a new WebSocket handshake."""
    try:
        async with http.ws_connect(f"{server.url}/socket.io/?EIO=4&transport=websocket"):
            return 101
    except aiohttp.WSServerHandshakeError as refusal:
        return refusal.status


async def until_refused(http: aiohttp.ClientSession, server: RtServer) -> int:
    async with asyncio.timeout(10):
        while True:
            status = await handshake(http, server)
            if status != 101:
                return status
            await asyncio.sleep(0.02)


@BOTH
async def test_a_running_handler_can_still_ack(start: Start, js: Any, transports: list[str]) -> None:
    server = await start(DRAIN_SECONDS=0)
    working, idle = await opened(js, server, 2, transports)
    answer = asyncio.create_task(working.call("work", 1))
    await working.next("started")
    server.terminate()
    # A lost transport, no disconnect packet: only then do unmodified clients reconnect by themselves.
    assert await idle.disconnected() == "transport close"
    assert not answer.done()
    assert await answer == {"ok": True}
    # The server is not bound to wait for one more poll: a client that polls later finds nobody.
    assert await working.disconnected() in ("transport close", "transport error")
    assert working.received("worked")
    assert await server.exited(10) == 0


@BOTH
async def test_a_running_handler_can_still_wait_for_an_ack(start: Start, js: Any, transports: list[str]) -> None:
    server = await start(DRAIN_SECONDS=0)
    (client,) = await opened(js, server, 1, transports)
    await client.answer("question", "yes")
    answer = asyncio.create_task(client.call("ask"))
    await client.next("started")
    server.terminate()
    assert await answer == {"heard": "yes"}
    assert await server.exited(10) == 0


async def test_new_clients_are_accepted_until_load_balancers_have_noticed(start: Start, js: Any) -> None:
    server = await start(DRAIN_DELAY=1, DRAIN_SECONDS=0)
    (client,) = await opened(js, server, 1, ["websocket"])
    working = asyncio.create_task(client.call("work", 2))
    await client.next("started")
    async with aiohttp.ClientSession() as http:
        server.terminate()
        await until_unready(http, server)
        assert await handshake(http, server) == 101
        assert (await (await js(server.url, "/work", reconnection=False)).call("work", 0)) == {"ok": True}
        assert await until_refused(http, server) == 503
        # Everything but new sessions is served as before.
        assert (await http.get(f"{server.url}/healthz")).status == 200
    assert await working == {"ok": True}
    assert await server.exited(10) == 0


async def test_clients_are_disconnected_a_few_at_a_time(start: Start, js: Any) -> None:
    server = await start(DRAIN_SECONDS=2)
    clients = [client for transports in TRANSPORTS for client in await opened(js, server, 12, transports)]
    loop = asyncio.get_running_loop()
    gone: list[float] = []

    async def watch(client: JsClient) -> None:
        assert await client.disconnected() == "transport close"
        gone.append(loop.time())

    watching = [asyncio.create_task(watch(client)) for client in clients]
    server.terminate()
    await asyncio.gather(*watching)
    pauses = [after - before for before, after in pairwise(gone)]
    # Eight steps of three clients; a busy machine may merge some steps, and can only lengthen the pauses.
    assert sum(pause > 0.1 for pause in pauses) >= 3
    assert gone[-1] - gone[0] > 1
    assert await server.exited(10) == 0


async def test_a_second_sigterm_disconnects_all_clients_at_once(start: Start, js: Any) -> None:
    server = await start(DRAIN_SECONDS=600, DRAIN_DELAY=600)
    clients = await opened(js, server, 3, ["websocket"])
    async with aiohttp.ClientSession() as http:
        server.terminate()
        await until_unready(http, server)
        server.terminate()
        for client in clients:
            assert await client.disconnected() == "transport close"
    assert await server.exited(10) == 0


async def test_a_second_sigterm_does_not_wait_for_handlers(start: Start, js: Any) -> None:
    server = await start(DRAIN_SECONDS=600)
    (client,) = await opened(js, server, 1, ["websocket"])
    working = asyncio.create_task(client.emit("work", 300))
    await client.next("started")
    async with aiohttp.ClientSession() as http:
        server.terminate()
        await until_unready(http, server)
        assert client.is_connected
        server.terminate()
    assert await client.disconnected() == "transport close"
    await working
    assert await server.exited(10) == 0


async def test_sighup_does_not_end_a_single_process(start: Start, js: Any) -> None:
    """The systemd unit sends SIGHUP, which is for several workers; here there is one process."""
    server = await start()
    (client,) = await opened(js, server, 1, ["websocket"])
    os.kill(server.pid, signal.SIGHUP)
    while "not_reloaded" not in server.logs():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert await client.call("work", 0) == {"ok": True}
    assert await server.stop() == 0


async def test_a_server_without_redis_stops_without_delay(start: Start, js: Any) -> None:
    """Without Redis there is no other instance to reconnect to, so there is no delay by default."""
    server = await start(DRAIN_SECONDS=None)
    clients = await opened(js, server, 20, ["websocket"])
    server.terminate()
    assert await server.exited(5) == 0
    for client in clients:
        assert await client.disconnected() == "transport close"


def test_only_instances_with_redis_drain_by_default() -> None:
    alone, together = Settings(_env_file=None), Settings(_env_file=None, redis_url="redis://localhost")
    assert (alone.drain_seconds, alone.drain_delay) == (0, 0)
    assert (together.drain_seconds, together.drain_delay) == (30, 3)
    assert Settings(_env_file=None, drain_seconds=7).drain_seconds == 7
