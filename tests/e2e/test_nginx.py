"""nginx/nginx.conf with the real nginx: two instances look like one server, over every transport."""

import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.nginx_server import NginxServer
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer, sqlite_url

CONFIG = ROOT / "nginx" / "nginx.conf"
TRANSPORTS = {"polling": ["polling"], "websocket": ["websocket"], "polling, then upgrade": ["polling", "websocket"]}
SCRATCH = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass
class Cluster:
    """Instances `a` and `b` behind nginx at `url`."""

    url: str
    a: RtServer
    b: RtServer

    def token(self, user: str) -> str:
        return self.a.token(user, user.title())


@pytest.fixture
async def cluster(
    server: Callable[..., Awaitable[RtServer]],
    nginx: Callable[..., Awaitable[NginxServer]],
    redis_server: RedisServer,
    tmp_path: Path,
) -> Cluster:
    settings = {
        "REDIS_URL": redis_server.url,
        "DATABASE_URL": sqlite_url(tmp_path / "shared.db"),
        "TRUSTED_PROXIES": "127.0.0.1",
    }
    a = await server(INSTANCE="a", **settings)
    b = await server(INSTANCE="b", migrate=False, **settings)
    replace = {"listen 127.0.0.1:8000": "listen 127.0.0.1:{port}", "127.0.0.1:8001": f"127.0.0.1:{a.port}"}
    replace |= {"127.0.0.1:8002": f"127.0.0.1:{b.port}", "var/nginx/access.log plain": "off"}
    replace |= {f"{name}_temp_path var/nginx/{name};": "" for name in SCRATCH}  # The fixture has its own.
    front = await nginx(CONFIG, replace)
    return Cluster(front.url, a, b)


def instance_of(client: Any) -> str:
    return str(client.engine_id).partition("-")[0]


def test_the_shipped_configuration_is_valid_and_writes_in_var_only(tmp_path: Path) -> None:
    (tmp_path / "nginx").mkdir()
    (tmp_path / "var" / "nginx").mkdir(parents=True)
    shutil.copy(CONFIG, tmp_path / "nginx")
    binary = shutil.which("nginx") or "/usr/sbin/nginx"
    command = [binary, "-p", ".", "-e", "stderr", "-c", "nginx/nginx.conf", "-t"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "var" / "nginx").iterdir()} >= set(SCRATCH)


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_two_users_on_two_instances_chat(cluster: Cluster, js: Any, transports: list[str]) -> None:
    alice = await js(cluster.url, "/chat", token=cluster.token("alice"), transports=transports)
    bob = await js(cluster.url, "/chat", token=cluster.token("bob"), transports=transports)
    if len(transports) == 2:
        await alice.upgraded()
        await bob.upgraded()
    assert {instance_of(alice), instance_of(bob)} == {"a", "b"}

    assert (await alice.call("join", {"room": "lobby"}))["ok"]
    assert (await bob.call("join", {"room": "lobby"}))["ok"]
    for n in range(5):  # Several requests each: with polling, each has to reach the instance of its session.
        assert (await alice.call("message", {"room": "lobby", "text": f"ping {n}"}))["ok"]
        assert (await bob.next("message"))[0]["text"] == f"ping {n}"
        assert (await bob.call("message", {"room": "lobby", "text": f"pong {n}"}))["ok"]
        assert (await alice.next("message", where=lambda m: m["from"]["id"] == "bob"))[0]["text"] == f"pong {n}"
    members = (await alice.call("members", {"room": "lobby"}))["members"]
    assert {(member["id"], member["online"]) for member in members} == {("alice", True), ("bob", True)}


@pytest.mark.parametrize("transports", TRANSPORTS.values(), ids=TRANSPORTS)
async def test_a_notification_reaches_the_users_devices_on_both(
    cluster: Cluster, js: Any, transports: list[str]
) -> None:
    devices = [
        await js(cluster.url, "/notifications", token=cluster.token("alice"), transports=transports) for _ in range(2)
    ]
    assert {instance_of(device) for device in devices} == {"a", "b"}
    notice = {"user": "alice", "type": "order", "message": "Shipped"}
    headers = {"Authorization": f"Bearer {cluster.a.api_key}"}
    async with aiohttp.ClientSession() as http:
        answer = await http.post(f"{cluster.url}/api/notifications", json=notice, headers=headers)
        assert answer.status == 200, await answer.text()
    for device in devices:
        assert (await device.next("notification"))[0]["message"] == "Shipped"


async def test_a_long_message_passes_by_polling(cluster: Cluster, js: Any) -> None:
    alice = await js(cluster.url, "/chat", token=cluster.token("alice"), transports=["polling"])
    bob = await js(cluster.url, "/chat", token=cluster.token("bob"), transports=["polling"])
    for client in (alice, bob):
        await client.call("join", {"room": "lobby"})
    text = "é" * 10_000
    assert (await alice.call("message", {"room": "lobby", "text": text}))["ok"]
    assert (await bob.next("message"))[0]["text"] == text


async def test_when_an_instance_dies_its_clients_move_to_the_other(cluster: Cluster, js: Any) -> None:
    options = {"reconnectionDelay": 50, "reconnectionDelayMax": 200, "transports": ["websocket"]}
    clients = [await js(cluster.url, "/chat", token=cluster.token(name), **options) for name in ("alice", "bob")]
    mover = next(client for client in clients if instance_of(client) == "a")
    stayer = next(client for client in clients if instance_of(client) == "b")
    await cluster.a.kill()
    await mover.disconnected()
    await mover.connected()
    assert instance_of(mover) == "b"
    assert stayer.is_connected
    assert (await mover.call("join", {"room": "lobby"}))["ok"]


async def test_forwarding_headers_of_clients_end_at_nginx(cluster: Cluster, js: Any) -> None:
    await js(
        cluster.url,
        "/chat",
        token=cluster.token("mallory"),
        transports=["websocket"],
        extraHeaders={"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6"},
    )
    admin = await js(cluster.url, "/admin", token=cluster.a.token("root", roles=("admin",)), transports=["websocket"])
    found = (await admin.call("clients", {"user": "mallory"}))["clients"]
    assert [client["address"] for client in found] == ["127.0.0.1"]


async def test_pages_health_and_bundle_are_proxied_and_metrics_are_not(cluster: Cluster) -> None:
    async with aiohttp.ClientSession() as http:
        for path, status in (("/healthz", 200), ("/readyz", 200), ("/admin/", 200), ("/metrics", 404)):
            assert (await http.get(cluster.url + path)).status == status, path
        script = await http.get(f"{cluster.url}/socket.io/socket.io.js")
        assert (script.status, script.headers.get("Content-Encoding")) in ((200, "gzip"), (404, None))


async def test_a_large_cookie_and_a_path_without_a_slash_pass(cluster: Cluster) -> None:
    handshake = f"{cluster.url}/socket.io?EIO=4&transport=polling"
    origin = {"Origin": cluster.url}
    async with aiohttp.ClientSession(max_line_size=70_000, max_field_size=70_000) as http:
        for size, status in ((12_000, 200), (20_000, 431), (60_000, 431)):
            headers = origin | {"Cookie": "sso=" + "s3cr3t" * (size // 6)}
            answer = await http.get(handshake, headers=headers, allow_redirects=False)
            assert answer.status == status
            assert "s3cr3t" not in await answer.text()
            if size < 30_000:  # beyond it, nginx has read no Origin that it could allow
                assert answer.headers["Access-Control-Allow-Origin"] == cluster.url
