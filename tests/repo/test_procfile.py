"""Procfile: `honcho start` starts both instances and nginx in development mode, without preparation."""

import asyncio
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import aiohttp

from rtserver.config.dev_secret import dev_secret, page_key
from tests.support.eventually import eventually
from tests.support.ports import accepts_connections, free_port
from tests.support.process import Process, Processes
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT


def checkout(folder: Path) -> dict[str, int]:
    """Copy the files of a checkout, with free ports for 8000, 8001 and 8002; return the ports."""
    ports = {name: free_port() for name in ("8000", "8001", "8002")}
    for name in ("Procfile", "nginx/nginx.conf", "nginx/instance.sh"):
        text = (ROOT / name).read_text()
        for old, new in ports.items():
            text = text.replace(old, str(new))
        if name == "nginx/nginx.conf" and os.geteuid() == 0:
            text = f"user root;\n{text}"  # pytest's folders are not readable for the user nobody
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return ports


async def ready(http: aiohttp.ClientSession, port: int) -> None:
    """An instance that listens may not yet be connected to Redis."""

    async def says_so() -> bool:
        return (await http.get(f"http://localhost:{port}/readyz")).status == 200

    await eventually(says_so)


async def test_one_command_runs_two_instances_that_chat(
    processes: Processes, redis_server: RedisServer, js: Any, tmp_path: Path
) -> None:
    folder = processes.new_folder("checkout")
    ports = checkout(folder)
    env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
    env |= {"PATH": f"{Path(sys.executable).parent}:{env['PATH']}", "REDIS_URL": redis_server.url}
    honcho = shutil.which("honcho", path=env["PATH"])
    assert honcho
    run = Process("honcho", [honcho, "start", "--no-colour"], log=folder / "log", env=env, cwd=folder)
    processes.add(run)
    await asyncio.to_thread(run.start, lambda: all(map(accepts_connections, ports.values())))

    url = f"http://localhost:{ports['8000']}"
    async with aiohttp.ClientSession() as http:
        for port in (ports["8001"], ports["8002"], ports["8000"]):
            await ready(http, port)
        key = {"Authorization": f"Bearer {page_key(dev_secret(folder / 'var'))}"}
        tokens = await (await http.get(f"{url}/dev/tokens", headers=key)).json()
    alice, bob = [
        await js(url, "/chat", token=person["token"], transports=["websocket"]) for person in tokens["users"][:2]
    ]
    assert {str(client.engine_id)[:2] for client in (alice, bob)} == {"a-", "b-"}
    for client in (alice, bob):
        assert (await client.call("join", {"room": "lobby"}))["ok"]
    assert (await alice.call("message", {"room": "lobby", "text": "hello"}))["ok"]
    assert (await bob.next("message"))[0]["text"] == "hello"
