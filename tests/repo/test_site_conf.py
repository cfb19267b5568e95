"""nginx/site.conf with the real nginx: TLS, HTTP/2, limits, and instances that start and stop."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.nginx_server import NginxServer
from tests.support.nginx_site import SITE, site
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer, sqlite_url


@dataclass
class Front:
    url: str
    a: RtServer
    b: RtServer


@pytest.fixture
async def front(
    server: Callable[..., Awaitable[RtServer]],
    nginx: Callable[..., Awaitable[NginxServer]],
    redis_server: RedisServer,
    tmp_path: Path,
) -> Front:
    settings = {
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": sqlite_url(tmp_path / "shared.db"),
        "TRUSTED_PROXIES": "127.0.0.1",
        "DRAIN_DELAY": 600,
        "UPLOAD_LIMIT": 5_000_000,
    }
    a = await server(INSTANCE="a", **settings)
    b = await server(INSTANCE="b", migrate=False, **settings)
    few = {"burst=500": "burst=10", "rate=50r/s": "rate=1r/s"}
    running = await nginx(SITE, site(a, b, tmp_path) | few)
    return Front(f"https://127.0.0.1:{running.port}", a, b)


async def test_pages_use_http_2_and_limits_reject(front: Front, js: Any) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False)) as http:
        handshakes = f"{front.url}/socket.io/?EIO=4&transport=polling"
        statuses = [(await http.get(handshakes)).status for _ in range(16)]
        assert set(statuses) == {200, 429}
        assert statuses[:8] == [200] * 8
        for disguise in ("sid=", "SID=b-x", "x=1;sid=b-x"):  # may look like a session to nginx, but is none to rtserver
            assert (await http.get(f"{handshakes}&{disguise}")).status == 429, disguise
        # Neither the requests of a session nor pages count as new sessions.
        assert (await http.get(f"{handshakes}&sid=b-nobody")).status == 400
        assert (await http.get(f"{front.url}/healthz")).status == 200
        assert (await http.get(f"{front.url}/metrics")).status == 404
        assert (await http.post(f"{front.url}/api/emit", data=b"x" * 3_000_000)).status == 413
    if curl := shutil.which("curl"):
        command = [curl, "-ksS", "-o", "/dev/null", "-w", "%{http_version}", f"{front.url}/healthz"]
        asked = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        assert (await asked.communicate())[0] == b"2"


async def test_the_server_limits_the_size_of_files(front: Front) -> None:
    headers = {"Authorization": f"Bearer {front.a.token('alice')}", "Content-Type": "image/png"}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), headers=headers) as http:
        sent = await http.post(f"{front.url}/api/uploads", data=b"x" * 4_000_000)
        assert (sent.status, (await sent.json())["upload"]["size"]) == (201, 4_000_000)
        refused = await http.post(f"{front.url}/api/uploads", data=b"x" * 6_000_000)
        assert (refused.status, (await refused.json())["error"]["code"]) == (413, "too_large")


async def test_the_client_address_is_the_one_that_nginx_sees(front: Front, js: Any) -> None:
    options = {"transports": ["websocket"], "rejectUnauthorized": False}
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
    await js(front.url, "/chat", token=front.a.token("mallory"), extraHeaders=forged, **options)
    admin = await js(front.url, "/admin", token=front.a.token("root", roles=("admin",)), **options)
    found = (await admin.call("clients", {"user": "mallory"}))["clients"]
    assert [client["address"] for client in found] == ["127.0.0.1"]


async def test_an_instance_that_is_down_gets_no_new_connections(front: Front, js: Any) -> None:
    await front.b.kill()
    for number in range(4):
        options = {"transports": ["websocket"], "rejectUnauthorized": False, "reconnection": False}
        client = await js(front.url, "/chat", token=front.a.token(f"user{number}"), **options)
        assert str(client.engine_id).startswith("a-")
