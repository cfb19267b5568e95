"""What a server with the defaults loads until it is ready, and holds at rest.

Counted, as seconds depend on the machine: `benchmarks/startup.py` measures the time, next to Node's server.
"""

import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.ports import free_port
from tests.support.process import Process, Processes
from tests.support.rtserver_process import RtServer, db_upgrade, environment

OF_RTSERVER, ALL = 365, 1080
"""Modules. The interpreter and the libraries without which there is no server are about 640 of them."""
MEGABYTES = 80 * 1.1
"""Resident: 80 are promised; the rest is for other builds of Python and its libraries."""
NOT_USED = {
    "redis", "hiredis", "alembic", "asyncpg", "cryptography", "jwt", "rich.console", "pygments", "requests", "urllib3",
    "aio_pika", "aiokafka", "sqlalchemy.orm", "sqlalchemy.dialects.postgresql", "aiohttp.client", "aiohttp.connector",
    "socketio.client", "engineio.client", "prometheus_client.exposition", "rtserver.cli.token", "rtserver.cli.emit",
    "rtserver.cli.config", "rtserver.cli.database", "rtserver.app.redis_cluster", "rtserver.app.redis_inbox",
    "rtserver.app.preflight", "rtserver.workers.supervisor",
}  # fmt: skip
"""Neither SQLite nor a single server needs them."""
_IMPORT = re.compile(r"import time: .*\| +([\w.]+)$", re.MULTILINE)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_server_loads_what_it_uses_and_little_else(processes: Processes) -> None:
    folder, port = processes.new_folder("rtserver"), free_port()
    env = environment(folder, PORT=port)
    db_upgrade(env, folder)
    command = [sys.executable, "-X", "importtime", "-m", "rtserver", "serve"]
    process = processes.add(Process("rtserver", command, log=folder / "server.log", env=env, cwd=folder))
    server = RtServer(process, port, env, "/readyz", folder)
    await server.start()
    resident = _megabytes(server.pid)
    loaded = set(_IMPORT.findall(server.logs()))
    assert await server.stop() == 0
    assert "rtserver.process.serve" in loaded
    found = NOT_USED & loaded
    assert not found
    assert len([name for name in loaded if name.partition(".")[0] == "rtserver"]) <= OF_RTSERVER
    assert len(loaded) <= ALL
    assert resident <= MEGABYTES


def _megabytes(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
