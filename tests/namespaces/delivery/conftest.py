"""Two whole servers in this process, on one database and one Redis; the second one reaches Redis through a proxy."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest
import socketio
from aiohttp import web

from rtserver.app.composition import create_app, dev_token
from rtserver.config.settings import Settings
from rtserver.store.db.database import Database
from tests.support.eventually import eventually
from tests.support.ports import free_port
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

API_KEY = "an-api-key-of-these-tests"
NAMESPACES = ("/chat", "/notifications")
Heard = tuple[str, dict[str, Any]]


class Device:
    """A client of both namespaces, which keeps what it hears; `deaf`: it acks no notification."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[Heard] = []
        self.deaf = False
        for name in NAMESPACES:
            self.client.on("*", self._on_event, namespace=name)
        self.client.on("notification", self._on_notification, namespace="/notifications")

    def _on_event(self, name: str, payload: Any) -> None:
        self.heard.append((name, payload))

    async def _on_notification(self, note: dict[str, Any]) -> bool:
        self.heard.append(("notification", note))
        if self.deaf:
            await asyncio.Event().wait()
        return True

    def all(self, *names: str) -> list[Heard]:
        return [one for one in self.heard if one[0] in names]

    def texts(self, name: str = "message") -> list[str]:
        return [payload["text"] for _, payload in self.all(name)]

    def notes(self) -> list[str]:
        return [payload["message"] for _, payload in self.all("notification")]

    async def call(self, event: str, payload: dict[str, Any], namespace: str = "/chat") -> dict[str, Any]:
        answer = await self.client.call(event, payload, namespace=namespace)
        assert isinstance(answer, dict)
        assert answer["ok"], answer
        return answer


class App:
    """A whole server."""

    def __init__(self, database_url: str, redis_url: str, folder: Path, **settings: Any) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.settings = Settings(
            database_url=database_url, redis_url=redis_url, data_dir=folder, port=port, api_key=API_KEY,
            jwt_secret=["s" * 16 + "ecret" * 8], rate_events="100000/s", receipt_timeout=0.3, **settings,
        )  # fmt: skip
        self._port = port
        self._devices: list[Device] = []

    async def start(self) -> None:
        self.app = create_app(self.settings)
        self._runner = web.AppRunner(self.app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        await self.ready()

    async def ready(self, status: int = 200) -> None:
        await eventually(lambda: self._answers(status))

    async def _answers(self, status: int) -> bool:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/readyz") as answer:
            return answer.status == status

    async def metric(self, line: str) -> float:
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/metrics") as answer:
            values = [one.rpartition(" ")[2] for one in (await answer.text()).splitlines() if one.startswith(line)]
        return float(values[0]) if values else 0.0

    async def device(self, user: str, *rooms: str, name: str | None = None) -> Device:
        device = Device()
        self._devices.append(device)
        auth = {"token": dev_token(self.settings, user, user)} | ({"device": name} if name else {})
        await device.client.connect(self.url, auth=auth, namespaces=list(NAMESPACES), transports=["websocket"])
        await eventually(lambda: device.all("unread"))
        for room in rooms:
            await device.call("join", {"room": room})
        device.heard.clear()
        return device

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {API_KEY}"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{self.url}/api/{path}", json=body) as answer,
        ):
            told: dict[str, Any] = await answer.json()
            assert answer.status == 200, told
            return told

    async def stop(self) -> None:
        for device in self._devices:
            await device.client.disconnect()
        await self._runner.cleanup()


class Pair(NamedTuple):
    """`here` and `away`: the servers; `line`: what `away` reaches Redis by."""

    here: App
    away: App
    line: TcpProxy
    database: Database


@pytest.fixture(params=["classic", "sharded"])
async def pair(request: pytest.FixtureRequest, redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[Pair]:
    url = f"sqlite:///{tmp_path}/rtserver.db"
    database = Database(url)
    await database.connect()
    await database.migrate()
    async with TcpProxy().to(redis_server.port) as line:
        through = f"redis://127.0.0.1:{line.port}/0"
        settings = {"redis_adapter": request.param, "presence_lease": 2.0}
        here = App(url, redis_server.url, tmp_path / "here", instance="here", **settings)
        away = App(url, through, tmp_path / "away", instance="away", **settings)
        await here.start()
        await away.start()
        yield Pair(here, away, line, database)
        await away.stop()
        await here.stop()
    await database.close()
