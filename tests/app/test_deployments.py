"""Several deployments on one Redis: with a prefix of its own each, none sees anything of the others."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import redis.asyncio
import socketio
from aiohttp import web

from rtserver import Emitter, Namespace
from rtserver.app.composition import create_app, dev_token
from rtserver.app.standalone import Server
from rtserver.cluster.redis.names import RedisNames
from rtserver.config.settings import Settings
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer

API_KEY = "an-api-key-of-these-tests"
MINE = re.compile(r"\{?(blue|rtserver)(:rtserver:presence\}|:rtserver:inbox|:socketio$|#|-request#|-response#)")
NAMESPACES = ("/chat", "/notifications", "/admin")


class Deployment:
    """A whole server, and a user who is connected to all of its namespaces."""

    def __init__(self, redis_url: str, folder: Path, **settings: Any) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir()
        self.settings = Settings(
            redis_url=redis_url, data_dir=folder, port=self.port, jwt_secret=["s" * 16 + "ecret" * 8], api_key=API_KEY,
            cluster_timeout=2, **settings,
        )  # fmt: skip
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Any] = []
        for name in NAMESPACES:
            self.client.on("*", self._on_event, namespace=name)

    def _on_event(self, name: str, *args: Any) -> None:
        if name != "stats":
            self.heard.append((name, *args))

    async def start(self, user: str) -> None:
        self._runner = web.AppRunner(create_app(self.settings))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        await eventually(self._ready)
        token = {"token": dev_token(self.settings, user, user, ["admin"])}
        await self.client.connect(self.url, auth=token, namespaces=list(NAMESPACES), transports=["websocket"])

    async def _ready(self) -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
            return answer.status == 200

    async def stop(self) -> None:
        await self.client.disconnect()
        await self._runner.cleanup()

    async def ask(self, namespace: str, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = await self.client.call(event, payload, namespace=namespace)
        assert isinstance(answer, dict)
        assert answer["ok"], answer
        return answer


class Open(Namespace, path="/open"):
    auth = "none"


class Monitor:
    """What Redis was asked for, as its MONITOR shows it."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []

    async def run(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
        writer.write(b"MONITOR\r\n")
        assert await reader.readline() == b"+OK\r\n"
        while line := await reader.readline():
            self.commands.append(re.findall(r'"((?:[^"\\]|\\.)*)"', line.decode()))

    def names(self) -> set[str]:
        """The keys and channels of all commands."""
        return {name for command in self.commands for name in _names_in(command)}


def _names_in(command: list[str]) -> list[str]:
    match [command[0].upper(), *command[1:]]:
        case ["EVAL" | "EVALSHA", _, count, *rest]:
            return rest[: int(count)]
        case ["PUBSUB", _, *channels]:
            return channels
        case ["XGROUP" | "XINFO", _, key, *_]:
            return [key]
        case ["XREADGROUP", *words]:
            return [words[words.index("STREAMS") + 1]]
        case ["HELLO" | "PING" | "CLIENT" | "COMMAND" | "SELECT" | "TIME" | "INFO" | "CLUSTER", *_]:
            return []
        case [_, name, *_]:
            return [name]
    return []


@pytest.fixture
async def monitor(redis_server: RedisServer) -> AsyncIterator[Monitor]:
    made = Monitor()
    running = asyncio.create_task(made.run(redis_server.port))
    async with redis.asyncio.Redis.from_url(redis_server.url) as client:
        await eventually(lambda: _seen(made, client))
    made.commands.clear()
    yield made
    running.cancel()
    await asyncio.wait({running})


async def _seen(monitor: Monitor, client: redis.asyncio.Redis) -> bool:
    await client.ping()
    return bool(monitor.commands)


@pytest.mark.parametrize("adapter", ["classic", "sharded"])
async def test_nothing_crosses_between_deployments_with_prefixes_of_their_own(
    redis_server: RedisServer, monitor: Monitor, tmp_path: Path, adapter: str
) -> None:
    shops = {
        name: Deployment(redis_server.url, tmp_path / name, redis_key=name, redis_adapter=adapter)
        for name in ("blue", "rtserver")
    }
    blue, green = shops.values()
    await blue.start("ada")
    await green.start("bob")
    try:
        for user, shop in (("ada", blue), ("bob", green)):
            await shop.ask("/chat", "join", {"room": "hall"})
            await shop.ask("/chat", "message", {"room": "hall", "text": f"only for {user}"})
        # Who is there: instances, clients, rooms, online users, occupants of a room.
        for user, other, shop in (("ada", "bob", blue), ("bob", "ada", green)):
            await eventually(lambda shop=shop: _one_instance(shop))
            clients = await shop.ask("/admin", "clients", {})
            assert {client["user"] for client in clients["clients"]} == {user}
            assert "partial" not in clients
            online = await shop.ask("/admin", "presence", {"users": [user, other]})
            assert {name: given["online"] for name, given in online["presence"].items()} == {user: True, other: False}
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {API_KEY}"}) as http:
                async with http.get(f"{shop.url}/api/rooms/hall/presence") as answer:
                    assert {found["id"] for found in (await answer.json())["users"]} == {user}
                emit = {"namespace": "/chat", "event": "sale", "data": user, "ack": True, "timeout": 0.5}
                async with http.post(f"{shop.url}/api/emit", json=emit) as answer:
                    assert (await answer.json())["partial"] is False
        # Everything that other programs may send.
        writer = redis.asyncio.Redis.from_url(redis_server.url)
        for user, name in (("ada", "blue"), ("bob", "rtserver")):
            async with Emitter(redis_server.url, key=name, adapter=adapter) as emitter:  # type: ignore[arg-type]
                await emitter.of("/chat").emit("emitted", user)
            manager = socketio.AsyncRedisManager(redis_server.url, channel=f"{name}:socketio", write_only=True)
            await manager.emit("managed", user, namespace="/chat")
            body = json.dumps({"namespace": "/chat", "event": "inbox", "data": user})
            await writer.xadd(RedisNames(name).inbox, {"kind": "emit", "body": body})
        # The names of a deployment with the default prefix reach neither.
        stranger = socketio.AsyncRedisManager(redis_server.url, write_only=True)
        await stranger.emit("managed", "nobody", namespace="/chat")
        async with Emitter(redis_server.url, adapter=adapter) as emitter:  # type: ignore[arg-type]
            await emitter.of("/chat").emit("emitted", "nobody")
        for shop in shops.values():
            await eventually(
                lambda shop=shop: {"sale", "emitted", "managed", "inbox"} <= {one[0] for one in shop.heard}
            )
        for user, shop in (("ada", blue), ("bob", green)):
            told = [one for one in shop.heard if one[0] in ("sale", "emitted", "managed", "inbox")]
            assert sorted(told) == [(name, user) for name in ("emitted", "inbox", "managed", "sale")]
        keys = {key.decode() for key in await writer.keys("*")}
        await writer.aclose()
    finally:
        for shop in shops.values():
            await shop.stop()
    assert {key.split(":")[0].strip("{") for key in keys} == {"blue", "rtserver"}
    names = monitor.names()
    sent_by_this_test = {"socketio", "socket.io#/chat#", "*"}
    assert [name for name in {*keys, *names} - sent_by_this_test if not MINE.match(name)] == []
    assert any(name.startswith("{blue:rtserver:presence}:in:") for name in names)
    assert {"blue:socketio", "rtserver:socketio", "blue:rtserver:inbox", "rtserver:rtserver:inbox"} <= names


async def _one_instance(shop: Deployment) -> bool:
    answer = await shop.ask("/admin", "instances", {})
    return len(answer["instances"]) == 1 and "partial" not in answer


def test_the_default_prefix_keeps_the_names_that_running_servers_and_backends_use() -> None:
    names = RedisNames()
    assert (names.prefix, names.presence, names.inbox, names.python_socketio) == (
        "socket.io", "{rtserver:presence}", "rtserver:inbox", "socketio",
    )  # fmt: skip
    settings = Settings()
    assert (settings.redis_key, settings.inbox_stream, settings.python_socketio_channel) == (
        "socket.io", "rtserver:inbox", "socketio",
    )  # fmt: skip


@pytest.mark.parametrize("prefix", ["shop", "rtserver", "rtserver:presence", "socketio", "a:b/c.d-e_f"])
def test_the_names_of_another_prefix_are_none_of_the_default(prefix: str) -> None:
    default, other = RedisNames(), RedisNames(prefix)
    assert len({default.presence, default.inbox, default.python_socketio, other.presence, other.inbox,
                other.python_socketio}) == 6  # fmt: skip
    settings = Settings(redis_key=prefix)
    assert (settings.inbox_stream, settings.python_socketio_channel) == (other.inbox, other.python_socketio)


async def test_servers_of_python_socketio_code_are_strangers_when_their_channel_differs(
    redis_server: RedisServer,
) -> None:
    """In python-socketio it is the channel that separates applications on one Redis."""
    servers = {
        name: Server(client_manager=socketio.AsyncRedisManager(redis_server.url, channel=name), async_mode="aiohttp")
        for name in ("one", "two")
    }
    for server in servers.values():
        server.add_namespace(Open())
        await server.start()
        assert server._bus is not None
        assert await server._bus.wait_ready(5)
    for server in servers.values():
        sockets: Any = await server.of("/open").fetch_sockets()
        assert not sockets.partial
    assert await _subscribers(redis_server, "one-request#/open#") == 1
    assert await _subscribers(redis_server, "socket.io-request#/open#") == 0
    for server in servers.values():
        await server.stop()


async def _subscribers(redis_server: RedisServer, channel: str) -> int:
    client = redis.asyncio.Redis.from_url(redis_server.url)
    [(_, count)] = await client.pubsub_numsub(channel)
    await client.aclose()
    return int(count)


async def test_input_from_python_socketio_can_be_off(redis_server: RedisServer, tmp_path: Path) -> None:
    shop = Deployment(redis_server.url, tmp_path / "shop", python_socketio_channel="off")
    await shop.start("ada")
    try:
        assert await _subscribers(redis_server, "socketio") == 0
    finally:
        await shop.stop()
