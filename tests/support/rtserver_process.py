"""`rtserver serve` as a real process, started the way a user starts it."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import jwt

from rtserver.store.db.database import Database
from tests.support.ports import free_port
from tests.support.preloaded import PreloadedInterpreter
from tests.support.process import READY_SECONDS, Child, Process, Processes

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-HS512-signatures-too-0123456789"
API_KEY = "an-api-key-of-the-tests-0123456789abcdef"
RTSERVER = Path(sys.executable).with_name("rtserver")
# aiohttp loads the certificates of the system's authorities when it is imported, a tenth of a server's start.
_NO_CERTIFICATES = {"SSL_CERT_FILE": os.devnull}
# The variables that a server inherits; the developer's RTSERVER_…, REDIS_URL or PORT must not reach it.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")


class ForkedProcess(Process):
    """`rtserver serve`, forked from an interpreter that has loaded it."""

    def __init__(self, interpreter: PreloadedInterpreter, name: str, *, log: Path, env: dict[str, str], cwd: Path):
        super().__init__(name, ["rtserver", "serve"], log=log, env=env, cwd=cwd)
        self._fork = partial(interpreter.fork, ["serve"], log=log, env=env, cwd=cwd)

    def _popen(self, _: object) -> Child:
        return self._fork()


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
    """Starts servers for one test. `start` is the `server` fixture.

    With an `interpreter`, they are forked from it, else started as a user would.
    """

    def __init__(self, processes: Processes, migrated: Path, interpreter: PreloadedInterpreter | None = None) -> None:
        self._processes = processes
        self._migrated = migrated
        self._interpreter = interpreter

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
        process = self._processes.add(self._process(f"rtserver {port}", folder, env))
        server = RtServer(process, port, env, wait, folder)
        await server.start()
        return server

    def _process(self, name: str, folder: Path, env: dict[str, str]) -> Process:
        log = folder / "server.log"
        if self._interpreter is not None:
            return ForkedProcess(self._interpreter, name, log=log, env=env, cwd=folder)
        return Process(name, [str(RTSERVER), "serve"], log=log, env=env, cwd=folder)

    def _migrate(self, env: dict[str, str], folder: Path) -> None:
        """Create the tables, as `rtserver db upgrade` does; for SQLite copy a database made once, which is faster."""
        path = folder / "rtserver.db"
        url = env.get("RTSERVER_DATABASE_URL")
        if url != sqlite_url(path):
            asyncio.run(_create_tables(url or f"sqlite:///{folder}/var/rtserver.db"))
            return
        if not self._migrated.exists():
            asyncio.run(_create_tables(sqlite_url(path)))
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
    return {**inherited, **_NO_CERTIFICATES} | {f"RTSERVER_{name}": str(value) for name, value in chosen.items()}


def db_upgrade(env: dict[str, str], folder: Path) -> None:
    """Run `rtserver db upgrade`."""
    command = [str(RTSERVER), "db", "upgrade"]
    done = subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"rtserver db upgrade failed:\n{done.stdout}{done.stderr}"


async def _create_tables(url: str) -> None:
    database = Database(url)
    await database.connect()
    await database.migrate()
    await database.close()


def _copy_database(source: Path, target: Path) -> None:
    # Through SQLite, which includes what is still in the write-ahead log.
    with sqlite3.connect(source) as connection:
        connection.execute("VACUUM INTO ?", [str(target)])
    connection.close()
