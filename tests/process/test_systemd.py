"""systemd integration: the test takes the part of systemd, with a socket that outlives the server."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from rtserver.process.systemd import inherited_sockets, notify
from tests.support.process import Process, Processes
from tests.support.redis_server import RedisServer
from tests.support.rtserver_process import RTSERVER, db_upgrade, environment

LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def held() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        listening.set_inheritable(True)
        yield listening


@pytest.fixture
def told(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hearing:
        hearing.bind(str(tmp_path / "notify"))
        hearing.settimeout(20)
        yield hearing


async def ask_all_the_time(url: str, until: asyncio.Event) -> int:
    """Send requests on new connections; return how many were answered. Fails at a refused connection."""
    answered = 0
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
        while not until.is_set():
            async with http.get(f"{url}/healthz") as answer:
                assert answer.status == 200
            answered += 1
            await asyncio.sleep(0.005)
    return answered


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_connection_is_refused_while_the_only_instance_restarts(
    processes: Processes,
    held: socket.socket,
    told: socket.socket,
    redis_server: RedisServer,
    tmp_path: Path,
    workers: int,
) -> None:
    several = {"WORKERS": workers, "REDIS_URL": redis_server.url} if workers > 1 else {}
    env = environment(tmp_path, **several) | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    await asyncio.to_thread(db_upgrade, env, tmp_path)
    command = [sys.executable, "-c", LAUNCH, str(held.fileno()), str(RTSERVER), "serve"]
    service = Process("service", command, log=tmp_path / "log", env=env, cwd=tmp_path, pass_fds=[held.fileno()])
    processes.add(service)
    service.spawn()
    assert await asyncio.to_thread(told.recv, 100) == b"READY=1"
    over = asyncio.Event()
    asking = asyncio.create_task(ask_all_the_time(f"http://127.0.0.1:{held.getsockname()[1]}", over))
    assert await asyncio.to_thread(service.stop) == 0
    assert await asyncio.to_thread(told.recv, 100) == b"STOPPING=1"
    service.spawn()
    assert await asyncio.to_thread(told.recv, 100) == b"READY=1"
    over.set()
    assert await asking > 0


def test_sockets_for_another_process_are_ignored() -> None:
    assert inherited_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert inherited_sockets({}) == []


def test_an_absent_service_manager_is_ignored(tmp_path: Path) -> None:
    notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    notify("READY=1", {"NOTIFY_SOCKET": "@rtserver-nobody"})
    notify("READY=1", {})
