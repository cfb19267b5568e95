"""Several rtserver instances in one process, on one Redis, with clients of python-socketio."""

import asyncio
from typing import Any

import socketio
from aiohttp import web

from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.python_socketio import PythonSocketIOInput
from rtserver.cluster.adapter.sharded import ShardedClusterAdapter
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.sharded_bus import ShardedRedisBus
from rtserver.protocol.adapter.signing import Seal
from rtserver.sio.namespace.namespace import Client, Namespace, event, server_event
from rtserver.sio.server import Server
from rtserver.telemetry.metrics import Metrics
from tests.support.ports import free_port


class Chat(Namespace, path="/chat"):
    auth = "none"

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    @event("join")
    async def join(self, client: Client, room: str) -> None:
        await client.join(room)

    @server_event("add")
    async def add(self, a: int, b: int) -> int:
        self.heard.append((a, b))
        return a + b

    @server_event("note")
    async def note(self, value: Any) -> None:
        self.heard.append(value)

    @server_event("slow")
    async def slow(self) -> None:
        await asyncio.Event().wait()


class Instance:
    def __init__(
        self, redis_url: str, *, adapter: type[Any] = RedisAdapter, secret: str | None = None, **options: Any
    ) -> None:
        self.metrics = Metrics()
        seal = Seal([secret]) if secret is not None else None
        self.bus = RedisBus(redis_url, self.metrics, seal=seal)
        if adapter is ShardedClusterAdapter:
            self.shards = ShardedRedisBus(self.bus.address, self.metrics, seal=seal)
            self.adapter = adapter(self.shards, **options)
        else:
            self.adapter = adapter(self.bus, **options)
        self.chat = Chat()
        self.server = Server(adapter=self.adapter, metrics=self.metrics, async_mode="aiohttp")
        self.server.add_namespace(self.chat)
        PythonSocketIOInput(self.adapter).attach(self.bus.subscribe)
        self.url = f"http://127.0.0.1:{free_port()}"
        self._runner: web.AppRunner | None = None
        self._clients: list[socketio.AsyncClient] = []

    async def start(self) -> None:
        app = web.Application()
        self.server.attach(app)
        await self.bus.start()
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", int(self.url.rsplit(":", 1)[1])).start()

    async def stop(self) -> None:
        for client in self._clients:
            await client.disconnect()
        if self._runner is not None:
            await self._runner.cleanup()
        await self.bus.stop()

    async def client(self, *rooms: str) -> "Browser":
        browser = Browser()
        self._clients.append(browser.sio)
        await browser.sio.connect(self.url, namespaces=["/chat"], transports=["websocket"])
        for room in rooms:
            await browser.sio.call("join", room, namespace="/chat")
        return browser


class Browser:
    """A client that keeps the events that it gets, and acknowledges "ask" with its `answer`."""

    def __init__(self) -> None:
        self.sio = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[Any, ...]] = []
        self.answer: Any = "yes"
        self.connected = True
        self.sio.on("*", self._on_event, namespace="/chat")
        self.sio.on("ask", self._on_ask, namespace="/chat")
        self.sio.on("disconnect", self._on_disconnect, namespace="/chat")

    @property
    def id(self) -> str:
        return str(self.sio.get_sid("/chat"))

    async def _on_event(self, name: str, *args: Any) -> None:
        self.heard.append((name, *args))

    async def _on_ask(self, *args: Any) -> Any:
        if self.answer is None:
            await asyncio.Event().wait()
        return self.answer

    async def _on_disconnect(self, *reason: Any) -> None:
        self.connected = False
