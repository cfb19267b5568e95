"""Servers with several workers."""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer

Start = Callable[..., Awaitable[RtServer]]


@pytest.fixture
def several(server: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Start:
    """`await several(WORKERS=3)`: a server with the namespace /echo."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))

    async def start(**settings: object) -> RtServer:
        settings = {"WORKERS": 3, "NAMESPACES": "tests.workers.echo:Echo"} | settings
        started: RtServer = await server(REDIS_URL=redis_server.url, **settings)
        async with asyncio.timeout(60):
            while len(logged(started, "worker_started")) < settings["WORKERS"]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        return started

    return start


def worker_of(client: Any) -> str:
    return str(client.engine_id).partition("-")[0]


def workers_of(clients: list[Any]) -> Counter[str]:
    return Counter(map(worker_of, clients))


def logged(server: RtServer, event: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in server.logs().splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("event") == event]
