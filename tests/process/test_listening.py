"""rtserver/process/listening.py: interfaces of both families, Unix sockets, and the addresses of clients there."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from rtserver.engine.runner import Runner
from rtserver.errors import ConfigError
from rtserver.process.listening import listen, shown_address
from rtserver.sio.server import Server
from tests.engine.wire import POLLING, Wire, request, upgrade
from tests.support.process import Process, Processes
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RTSERVER, db_upgrade, environment


@pytest.fixture
def opened() -> Iterator[Callable[[str], list[socket.socket]]]:
    made: list[socket.socket] = []

    def open(host: str, port: int = 0) -> list[socket.socket]:
        made.extend(listening := listen(host, port))
        return listening

    yield open
    for each in made:
        each.close()


def connects(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=5).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    ("host", "reached", "not_reached"),
    [
        ("::", ["127.0.0.1", "::1"], []),
        ("0.0.0.0", ["127.0.0.1"], ["::1"]),
        ("::1", ["::1"], ["127.0.0.1"]),
        ("127.0.0.1", ["127.0.0.1"], ["::1"]),
        ("localhost", ["localhost"], []),
    ],
)
def test_a_host_is_reached_over_its_families(opened, host, reached, not_reached):
    port = opened(host)[0].getsockname()[1]
    assert [connects(address, port) for address in reached] == [True] * len(reached)
    assert [connects(address, port) for address in not_reached] == [False] * len(not_reached)


def test_a_port_in_use_is_a_fault(opened):
    port = opened("::")[0].getsockname()[1]
    with pytest.raises(ConfigError, match=f"Cannot listen on 127.0.0.1:{port}: Address already in use"):
        opened("127.0.0.1", port)


def test_a_unix_socket_is_for_owner_and_group(opened, tmp_path):
    path = tmp_path / "socket"
    opened(f"unix:{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with closing(socket.socket(socket.AF_UNIX)) as client:
        client.connect(str(path))


def test_the_socket_of_a_server_that_has_ended_is_replaced(opened, tmp_path):
    path = tmp_path / "socket"
    listen(f"unix:{path}", 0)[0].close()
    assert path.is_socket()
    opened(f"unix:{path}")


def test_the_socket_of_a_running_server_stays(opened, tmp_path):
    opened(f"unix:{tmp_path / 'socket'}")
    with pytest.raises(ConfigError, match=r"Cannot listen on unix:.*Address already in use"):
        opened(f"unix:{tmp_path / 'socket'}")


@pytest.mark.parametrize("name", ["file", "missing/socket", "x" * 200])
def test_a_path_that_cannot_be_a_socket_is_a_fault(opened, tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"Cannot listen on unix:.*RTSERVER_HOST"):
        opened(f"unix:{tmp_path / name}")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("host", "address", "shown"),
    [
        ("::", ("::", 8000, 0, 0), "http://localhost:8000"),
        ("0.0.0.0", ("0.0.0.0", 8000), "http://localhost:8000"),
        ("::1", ("::1", 8000, 0, 0), "http://[::1]:8000"),
        ("127.0.0.1", ("127.0.0.1", 1), "http://127.0.0.1:1"),
        ("unix:/run/x", "/run/x", "unix:/run/x"),
        ("127.0.0.1", "/run/systemd", "unix:/run/systemd"),
        ("unix:/run/x", ("127.0.0.1", 1), "http://localhost:1"),
    ],
)
def test_the_address_in_the_log_can_be_used(host, address, shown):
    assert shown_address(host, address) == shown


Start = Callable[..., Awaitable[Server]]


@pytest.fixture
async def start(opened) -> AsyncIterator[Start]:
    runners: list[Runner] = []

    async def started(host: str, trusted: list[str], **options: object) -> tuple[Server, socket.socket]:
        server = Server(trusted_proxies=trusted, **options)
        app = web.Application()
        server.attach(app)
        runner = Runner(app, shutdown_timeout=0.1, access_log=None)
        runners.append(runner)
        await runner.setup()
        (listening,) = opened(host)
        await web.SockSite(runner, listening).start()
        return server, listening

    yield started
    for runner in runners:
        await runner.cleanup()


async def dial(listening: socket.socket, host: str) -> Wire:
    name = listening.getsockname()
    sock = socket.socket(
        socket.AF_UNIX if isinstance(name, str) else socket.AF_INET6 if ":" in host else socket.AF_INET
    )
    sock.connect(name if isinstance(name, str) else (host, name[1]))
    return await Wire.open(0, sock=sock)


OPENINGS = {
    "fast path": lambda **headers: upgrade("EIO=4&transport=websocket", path="/socket.io/", **headers),
    "aiohttp": lambda **headers: request("GET", POLLING, path="/socket.io/", **headers),
}


@pytest.mark.parametrize("way", OPENINGS)
@pytest.mark.parametrize(
    ("host", "peer", "trusted", "address"),
    [
        ("::", "127.0.0.1", [], "127.0.0.1"),
        ("::", "127.0.0.1", ["127.0.0.1"], "203.0.113.9"),
        ("::", "::1", ["127.0.0.1"], "::1"),
        ("::", "::1", ["::1"], "203.0.113.9"),
        ("unix:", "", ["unix"], "203.0.113.9"),
        ("unix:", "", ["127.0.0.1"], "unix"),
    ],
)
async def test_clients_have_their_own_address(start, tmp_path, way, host, peer, trusted, address):
    server, listening = await start(f"unix:{tmp_path / 's'}" if host == "unix:" else host, trusted)
    wire = await dial(listening, peer)
    assert (await wire.ask(OPENINGS[way](X_Forwarded_For="203.0.113.9:51322"))).status in (101, 200)
    (connection,) = server.connections.values()
    assert connection.handshake.address == address
    await wire.close()


async def test_users_behind_one_proxy_do_not_count_as_one_address(start):
    server, listening = await start("::", ["127.0.0.1"], max_connections_per_ip=1)
    wires = [await dial(listening, "127.0.0.1") for _ in range(4)]
    forwarded = ["203.0.113.1", "203.0.113.2:99", "::ffff:203.0.113.3", "203.0.113.1:5"]
    for wire, hop in zip(wires, forwarded, strict=True):
        assert (await wire.ask(OPENINGS["aiohttp"](X_Forwarded_For=hop))).status == 200
    assert server.connection_limiter.addresses == {f"203.0.113.{host}": 1 for host in (1, 2, 3)}
    assert server.connection_limiter.rejected == 1
    for wire in wires:
        await wire.close()


async def test_two_workers_share_a_unix_socket(processes: Processes, redis_server: RedisServer, tmp_path: Path) -> None:
    """Each request comes on a new connection, to either worker: those of the other's session are handed over."""
    path = tmp_path / "socket"
    env = environment(tmp_path, WORKERS=2, REDIS_URL=redis_server.url, HOST=f"unix:{path}", TRUSTED_PROXIES="unix")
    env["NOTIFY_SOCKET"] = str(tmp_path / "notify")
    db_upgrade(env, tmp_path)
    process = processes.add(Process("unix", [str(RTSERVER), "serve"], log=tmp_path / "log", env=env, cwd=tmp_path))
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as notified:
        notified.bind(env["NOTIFY_SOCKET"])
        notified.settimeout(60)
        process.spawn()
        assert notified.recv(100) == b"READY=1"
    connector = aiohttp.UnixConnector(str(path), force_close=True)
    async with aiohttp.ClientSession("http://localhost", connector=connector) as http:
        params = {"EIO": "4", "transport": "polling"}
        opening = await (await http.get("/socket.io", params=params)).text()
        params["sid"] = opening.split('"sid":"')[1].split('"')[0]
        for _ in range(10):
            assert await (await http.post("/socket.io/", params=params, data="40/nowhere,")).text() == "ok"
            assert "Invalid namespace" in await (await http.get("/socket.io/", params=params)).text()
        assert (await http.get("/healthz")).status == 200
    assert os.fspath(path) in process.logs()
