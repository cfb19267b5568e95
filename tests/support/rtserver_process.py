"""`rtserver serve` as a real process, started the way a user starts it."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from tests.support.ports import free_port
from tests.support.process import READY_SECONDS, Process, Processes

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-HS512-signatures-too-0123456789"
API_KEY = "an-api-key-of-the-tests-0123456789abcdef"
RTSERVER = Path(sys.executable).with_name("rtserver")
# The variables that a server inherits; the developer's RTSERVER_…, REDIS_URL or PORT must not reach it.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


class RtServer:
    """A server process: its URL, tokens for it, and ways to stop it.

    `restart` keeps the port, the database and the settings.
    """

    api_key = API_KEY
    secret = SECRET

    def __init__(self, process: Process, port: int, env: dict[str, str], wait: str, folder: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.env = env
        self._process = process
        self._wait = wait

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.running

    def token(
        self,
        sub: str,
        name: str | None = None,
        roles: tuple[str, ...] = (),
        *,
        ttl: float = 3600,
        key: Any = SECRET,
        alg: str = "HS256",
        **claims: Any,
    ) -> str:
        """Sign a JWT. A claim of None is left out (`exp=None`), `ttl=-600` is expired, `alg="none"` unsigned."""
        now = int(time.time())
        standard = {"sub": sub, "iat": now, "exp": now + ttl, "name": name, "roles": list(roles) or None}
        payload = {claim: value for claim, value in (standard | claims).items() if value is not None}
        return jwt.encode(payload, "" if alg == "none" else key, algorithm=alg)

    def logs(self) -> str:
        return self._process.logs()

    async def start(self) -> None:
        """Start it and wait until the path given as `wait` answers 200."""
        self._process.spawn()
        deadline = time.monotonic() + READY_SECONDS
        async with aiohttp.ClientSession() as http:
            while not await _answers(http, self.url + self._wait):
                self._process.check_alive()
                if time.monotonic() > deadline:
                    raise AssertionError(f"{self._process.name} was not ready; its log:\n{self.logs()}")
                await asyncio.sleep(0.03)

    async def stop(self) -> int | None:
        """Stop it as a service manager does (SIGTERM, then patience); return its exit code."""
        return await asyncio.to_thread(self._process.stop)

    async def kill(self) -> None:
        """Kill it, as `kill -9` does."""
        await asyncio.to_thread(self._process.kill)

    async def restart(self) -> None:
        """Stop it, if it still runs, and start it again."""
        if self.running:
            await self.stop()
        await self.start()

    def pause(self) -> None:
        self._process.pause()

    def resume(self) -> None:
        self._process.resume()

    def terminate(self) -> None:
        """Send SIGTERM without waiting."""
        self._process.terminate()

    async def exited(self, seconds: float = 30) -> int:
        """Wait until it has ended by itself and return its exit code."""
        return await asyncio.to_thread(self._process.wait, seconds)


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url, timeout=aiohttp.ClientTimeout(total=5)) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


class RtServers:
    """Starts servers for one test. `start` is the `server` fixture."""

    def __init__(self, processes: Processes, migrated: Path) -> None:
        self._processes = processes
        self._migrated = migrated

    async def start(
        self, *, wait: str = "/readyz", migrate: bool = True, port: int | None = None, **settings: object
    ) -> RtServer:
        """Run `rtserver serve` in production mode with SQLite in a folder of its own; wait until it is ready.

        Settings are named without `RTSERVER_`: `REDIS_URL=redis_server.url`; None unsets a default.
        `migrate=False` leaves the database as it is.
        """
        folder = self._processes.new_folder("rtserver")
        port = port or free_port()
        env = environment(folder, PORT=port, **settings)
        if migrate:
            await asyncio.to_thread(self._migrate, env, folder)
        command = [str(RTSERVER), "serve"]
        process = Process(f"rtserver {port}", command, log=folder / "server.log", env=env, cwd=folder)
        self._processes.add(process)
        server = RtServer(process, port, env, wait, folder)
        await server.start()
        return server

    def _migrate(self, env: dict[str, str], folder: Path) -> None:
        """Create the tables: `rtserver db upgrade`, or for SQLite a copy of a database made once, which is faster."""
        path = folder / "rtserver.db"
        if env.get("RTSERVER_DATABASE_URL") != sqlite_url(path):
            db_upgrade(env, folder)
            return
        if not self._migrated.exists():
            db_upgrade(environment(folder), folder)
            _copy_database(path, self._migrated)
        elif not path.exists():
            shutil.copy(self._migrated, path)


def sqlite_url(path: Path) -> str:
    return f"sqlite+aiosqlite:///{path}"


def environment(folder: Path, **settings: object) -> dict[str, str]:
    """Return the environment of a server in that folder: the defaults of the tests, overridden by `settings`."""
    defaults: dict[str, object] = {
        "MODE": "production",
        "HOST": "127.0.0.1",
        "JWT_SECRET": SECRET,
        "API_KEY": API_KEY,
        "DATABASE_URL": sqlite_url(folder / "rtserver.db"),
        "DRAIN_SECONDS": 0,
        "DRAIN_DELAY": 0,
        "LOG_FORMAT": "json",
    }
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    chosen = {name: value for name, value in (defaults | settings).items() if value is not None}
    return inherited | {f"RTSERVER_{name}": str(value) for name, value in chosen.items()}


def db_upgrade(env: dict[str, str], folder: Path) -> None:
    """Run `rtserver db upgrade`."""
    command = [str(RTSERVER), "db", "upgrade"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"rtserver db upgrade failed:\n{done.stdout}{done.stderr}"


def _copy_database(source: Path, target: Path) -> None:
    # Through SQLite, which includes what is still in the write-ahead log.
    with sqlite3.connect(source) as connection:
        connection.execute("VACUUM INTO ?", [str(target)])
    connection.close()
