"""nginx/site.conf, haproxy/haproxy.cfg and caddy/Caddyfile with the real programs in front of the same two instances.

Each passes the same checks: TLS, HTTP/2, transports, addresses, sizes, blocked paths, and an instance that is down.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from tests.support.process import Processes
from tests.support.proxies import FEW_SESSIONS, PROXIES
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RtServer, RtServers, sqlite_url

TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "polling, then upgrade": ["polling", "websocket"]}


@dataclass
class Fronts:
    """Instances `a` and `b`, and a proxy of each kind in front of them."""

    processes: Processes
    a: RtServer
    b: RtServer
    urls: dict[str, str]


@pytest.fixture(scope="module")
def fronts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    """Started once: the checks leave nothing behind, and the one that kills an instance is the last."""
    folder = tmp_path_factory.mktemp("proxies")
    processes = Processes(folder)
    try:
        redis = RedisServer(processes)
        redis.start()
        settings = {
            "REDIS_URL": redis.url,
            "DATABASE_URL": sqlite_url(folder / "shared.db"),
            "TRUSTED_PROXIES": "127.0.0.1",
            "DRAIN_DELAY": 600,
            "UPLOAD_LIMIT": 5_000_000,
        }
        servers = RtServers(processes, folder / "migrated.db")
        a = asyncio.run(servers.start(INSTANCE="a", **settings))
        b = asyncio.run(servers.start(INSTANCE="b", migrate=False, **settings))
        yield Fronts(processes, a, b, {name: start(processes, a, b, {}) for name, start in PROXIES.items()})
    finally:
        processes.stop_all()


@pytest.fixture(params=PROXIES)
def url(request: pytest.FixtureRequest, fronts: Fronts) -> str:
    return fronts.urls[request.param]


def session(**options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=False), **options)


def options(transports: list[str]) -> dict[str, Any]:
    return {"transports": transports, "rejectUnauthorized": False}


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_two_users_on_two_instances_chat(fronts: Fronts, url: str, js: Any, transports: list[str]) -> None:
    clients: dict[str, Any] = {}
    for number in range(20):
        client = await js(url, "/chat", token=fronts.a.token(f"user{number}"), **options(transports))
        if len(transports) == 2:
            await client.upgraded()
        clients.setdefault(str(client.engine_id).partition("-")[0], client)
        if len(clients) == 2:
            break
    one, other = clients["a"], clients["b"]
    room = f"lobby:{URL(url).port}:{'-'.join(transports)}"
    for client in (one, other):
        joined = await client.call("join", {"room": room})
        assert joined["ok"], joined
    for number in range(5):  # Several requests each: with polling, each has to reach the instance of its session.
        sent = await one.call("message", {"room": room, "text": f"ping {number} é" + "x" * 9000})
        assert sent["ok"], sent
        assert (await other.next("message"))[0]["text"].startswith(f"ping {number} é")


async def test_pages_use_http_2(url: str) -> None:
    curl = shutil.which("curl")
    if curl is None:  # aiohttp speaks HTTP/1.1 only
        return
    command = [curl, "-ksS", "-o", "/dev/null", "-w", "%{http_version}", f"{url}/healthz"]
    asked = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert (await asked.communicate())[0] == b"2"


async def test_health_pages_and_client_are_proxied_and_metrics_are_not(url: str) -> None:
    async with session() as http:
        for path in ("/healthz", "/readyz", "/admin/"):
            answer = await http.get(url + path)
            assert answer.status == 200, path
            assert answer.headers["Strict-Transport-Security"]
        for path in ("/metrics", "/%6detrics", "/metrics?x=1"):
            assert (await http.get(URL(url + path, encoded=True))).status == 404, path
        assert (await http.get(f"{url}/socket.io/?EIO=4&transport=polling&sid=b-nobody")).status == 400


async def test_a_request_that_is_too_large_is_refused_and_a_file_is_not(fronts: Fronts, url: str) -> None:
    """rtserver limits the size of files itself."""
    headers = {"Authorization": f"Bearer {fronts.a.token('alice')}", "Content-Type": "image/png"}
    async with session(headers=headers) as http:
        assert (await http.post(f"{url}/api/emit", data=b"x" * 3_000_000)).status == 413
        sent = await http.post(f"{url}/api/uploads", data=b"x" * 4_000_000)
        assert sent.status == 201, await sent.text()
        assert (await sent.json())["upload"]["size"] == 4_000_000
        refused = await http.post(f"{url}/api/uploads", data=b"x" * 6_000_000)
        assert (refused.status, (await refused.json())["error"]["code"]) == (413, "too_large")


async def test_the_client_address_is_the_one_that_the_proxy_sees(fronts: Fronts, url: str, js: Any) -> None:
    forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http", "X-Real-IP": "6.6.6.6"}
    name = f"mallory-{URL(url).port}"
    await js(url, "/chat", token=fronts.a.token(name), extraHeaders=forged, **options(["websocket"]))
    admin = await js(url, "/admin", token=fronts.a.token("root", roles=("admin",)), **options(["websocket"]))
    found = (await admin.call("clients", {"user": name}))["clients"]
    assert [client["address"] for client in found] == ["127.0.0.1"]


@pytest.mark.parametrize("proxy", FEW_SESSIONS)
async def test_new_sessions_beyond_the_limit_are_rejected(fronts: Fronts, proxy: str) -> None:
    url = PROXIES[proxy](fronts.processes, fronts.a, fronts.b, FEW_SESSIONS[proxy])
    async with session() as http:
        handshakes = f"{url}/socket.io/?EIO=4&transport=polling"
        statuses = [(await http.get(handshakes)).status for _ in range(16)]
        assert set(statuses) == {200, 429}
        assert statuses[:8] == [200] * 8
        for disguise in ("sid=", "SID=b-x", "x=1;sid=b-x"):  # may look like a session, but is none to rtserver
            assert (await http.get(f"{handshakes}&{disguise}")).status == 429, disguise
        # Neither the requests of a session nor pages count as new sessions.
        assert (await http.get(f"{handshakes}&sid=b-nobody")).status == 400
        assert (await http.get(f"{url}/healthz")).status == 200


async def test_an_instance_that_is_down_gets_no_new_connections(fronts: Fronts, js: Any) -> None:
    """The last check in this file: the instance stays down."""
    await fronts.b.kill()
    for url in fronts.urls.values():
        for number in range(4):
            given = {**options(["websocket"]), "reconnection": False}
            client = await js(url, "/chat", token=fronts.a.token(f"user{number}"), **given)
            assert str(client.engine_id).startswith("a-")
