"""Rolling upgrade from an older commit to this working tree, under load: nothing may be lost, nobody cut off for good.

    .venv/bin/python -m tests.e2e.rolling_upgrade REVISION

1. Two servers of two workers each run REVISION on one Redis and one Postgres, behind one symbolic link.
2. Chat clients of every transport write all the while, and a backend sends notifications over HTTP.
3. The link is moved to the working tree, and its `rtserver db upgrade` changes the tables under the old servers. Then
   the first server gets SIGHUP: its supervisor, still the old code, starts workers of the new one. Both versions share
   Redis and Postgres for a while; then the second server follows.
4. At the end every acknowledged message has a number without gaps and has reached every client once, and every
   accepted notification is in the inbox.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.test_chat_outages import TRANSPORTS, said_more, talking
from tests.support import rtserver_process
from tests.support.js_driver import JsClients
from tests.support.postgres import PostgresServer
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.repository import ROOT
from tests.support.rtserver_process import RtServer, RtServers
from tests.support.talker import Talker
from tests.workers.conftest import logged

LAUNCHER = """#!{python}
import sys
sys.path.insert(0, "{code}")
from rtserver.cli import main
sys.exit(main())
"""


class Backend:
    """Sends a notification to one user every 20 ms, to each server in turn; repeats what was not accepted, by key."""

    def __init__(self, servers: list[RtServer]) -> None:
        self._servers = cycle(servers)
        self.accepted = 0

    async def run(self, over: asyncio.Event) -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {RtServer.api_key}"}) as http:
            while not over.is_set():
                body = {"users": ["listener"], "type": "upgrade", "message": "m", "key": f"k{self.accepted}"}
                try:
                    url = next(self._servers).url + "/api/notifications"
                    async with http.post(url, json=body) as response:
                        self.accepted += response.status < 300
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)


async def roll(server: RtServer) -> None:
    """SIGHUP, then wait until every worker is new."""
    os.kill(server.pid, signal.SIGHUP)
    async with asyncio.timeout(180):
        while not logged(server, "rolled"):  # noqa: ASYNC110 - it shows in a log
            await asyncio.sleep(0.1)
    assert not logged(server, "roll_ended"), server.logs()


async def inbox_count(client: Any) -> int:
    ids, before = set(), None
    while True:
        page = await client.call("list", {"limit": 100} | ({"before": before} if before else {}))
        assert page["ok"], page
        ids |= {each["id"] for each in page["notifications"]}
        if not page["more"]:
            return len(ids)
        before = page["notifications"][-1]["seq"]


async def upgrade(work: Path, code: Path) -> None:
    processes = Processes(work / "servers")
    redis, postgres, clients = RedisServer(processes), PostgresServer(Processes(work / "postgres")), JsClients()
    try:
        redis.start()
        shared = {
            "WORKERS": 2, "REDIS_URL": redis.url, "DATABASE_URL": postgres.new_database(), "DRAIN_SECONDS": 1,
            "RATE_EVENTS": "1000/s",
        }  # fmt: skip
        start = RtServers(processes, work / "migrated.db").start
        tables = rtserver_process.environment(work, **shared)
        await asyncio.to_thread(rtserver_process.db_upgrade, tables, work)
        servers = [await start(migrate=False, **shared) for _ in range(2)]
        for server in servers:
            async with asyncio.timeout(60):
                while len(logged(server, "worker_started")) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        talkers = []
        for number in range(12):
            at, name = servers[number % 2], f"talker{number}"
            options: dict[str, Any] = {"reconnectionDelay": 10, "reconnectionDelayMax": 50}
            client = await clients.open(
                at.url, "/chat", token=at.token(name), transports=TRANSPORTS[number % 3], **options
            )
            talkers.append(Talker(client, name))
        listener = await clients.open(servers[0].url, "/notifications", token=servers[0].token("listener"))
        backend, over = Backend(servers), asyncio.Event()
        sending = asyncio.create_task(backend.run(over))
        async with talking(talkers):
            await said_more(talkers, 10)
            new = code.with_name("new")
            new.symlink_to(ROOT)
            new.replace(code)
            await asyncio.to_thread(rtserver_process.db_upgrade, tables, work)
            await said_more(talkers, 10)
            await roll(servers[0])
            await said_more(talkers, 20)
            await roll(servers[1])
            await said_more(talkers, 10)
            over.set()
            await sending
        said = sum(len(talker.said) for talker in talkers)
        found = await inbox_count(listener)
        print(f"messages acknowledged: {said}, each received once by {len(talkers)} clients or fetched")
        print(f"notifications accepted: {backend.accepted}, in the inbox: {found}")
        assert found >= backend.accepted, (found, backend.accepted)
        ends = Counter(client_end for talker in talkers for client_end in disconnects(talker))
        print(f"disconnects: {dict(ends)}")
        for server in servers:
            assert await server.stop() == 0
            events = Counter(line for line in server.logs().splitlines() if "Traceback" in line or '"error"' in line)
            print(f"{server.url}: {len(logged(server, 'worker_started'))} workers started, error lines: {len(events)}")
            for line, count in events.items():
                print("   ", count, line[:400])
    finally:
        await clients.close()
        processes.stop_all()
        postgres.remove()


def disconnects(talker: Talker) -> list[str]:
    return [str(args[0]) for kind, name, args in talker.client._seen if (kind, name) == ("socket", "disconnect")]


def main() -> None:
    revision = sys.argv[1]
    work = Path(tempfile.mkdtemp(prefix="rolling-upgrade-"))
    try:
        old, code = work / "old", work / "code"
        subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(old), revision], cwd=ROOT, check=True)
        code.symlink_to(old)
        launcher = work / "rtserver"
        launcher.write_text(LAUNCHER.format(python=sys.executable, code=code))
        launcher.chmod(0o755)
        rtserver_process.RTSERVER = launcher
        # Workers are started as `python -P -m rtserver.workers.worker`: they find the code through this.
        os.environ["PYTHONPATH"] = str(code)
        began = time.monotonic()
        asyncio.run(upgrade(work, code))
        print(f"nothing was lost from {revision} to the working tree ({time.monotonic() - began:.0f} s)")
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(work / "old")], cwd=ROOT, check=False)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
