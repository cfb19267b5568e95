"""A real Postgres cluster in a temporary folder."""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.support.ports import free_port
from tests.support.process import Process, Processes

_PROGRAMS = ("initdb", "postgres", "createdb", "pg_isready")
_OPTIONS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}


def postgres_folder() -> Path:
    """Return the folder with the server and its tools, which Debian does not have in PATH."""
    found = next((folder for folder in _folders() if all((folder / name).exists() for name in _PROGRAMS)), None)
    assert found, "Postgres is not installed: `make test` installs it"
    return found


def _folders() -> Iterator[Path]:
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(debian, key=lambda folder: float(folder.parent.name), reverse=True)
    for program in filter(None, (shutil.which("initdb"), shutil.which("postgres"))):
        yield Path(program).resolve().parent
    if config := shutil.which("pg_config"):
        yield Path(subprocess.check_output([config, "--bindir"], text=True).strip())


def _account() -> str | None:
    """Return the account to run Postgres as, since it refuses to run as root; None to keep the present one."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresServer:
    """`url` of a fresh database in a cluster of its own; `stop`, `start`, `pause`, `resume` keep the data."""

    def __init__(self, processes: Processes) -> None:
        self.port = free_port()
        self._bin = postgres_folder()
        self._account = _account()
        # Not in tmp_path: pytest makes that 0700, and the postgres account has to reach its folder.
        self._folder = Path(tempfile.mkdtemp(prefix="rtserver-pg-"))
        if self._account:
            shutil.chown(self._folder, self._account)
        settings = {**_OPTIONS, "port": str(self.port), "unix_socket_directories": str(self._folder)}
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [str(self._bin / "postgres"), "-D", str(self._folder / "data"), "-h", "127.0.0.1", *options]
        process = Process(
            f"postgres {self.port}",
            command,
            log=processes.new_folder("postgres") / "log",
            cwd=self._folder,
            user=self._account,
            stop_signal=signal.SIGINT,  # "fast": do not wait for the clients
        )
        self._process = processes.add(process)
        try:
            self._initdb()
            self.start()
            self.url = self.new_database()
        except BaseException:
            self.remove()
            raise

    def _initdb(self) -> None:
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        command = [str(self._bin / "initdb"), "-D", str(self._folder / "data"), *options]
        done = subprocess.run(
            command, user=self._account, cwd=self._folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}{done.stderr}"

    def new_database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        done = self._client("createdb", name)
        assert done.returncode == 0, f"createdb failed:\n{done.stdout}{done.stderr}"
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{name}"

    def _client(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        place = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"]
        command = [str(self._bin / program), *place, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    def start(self) -> None:
        self._process.start(lambda: self._client("pg_isready", "-q").returncode == 0)

    def stop(self) -> None:
        self._process.stop()

    def pause(self) -> None:
        """Freeze it with every backend process: the kernel accepts connections, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> None:
        # Each backend process has its own session, so signals to the process group do not reach it.
        for pid in [*_children(self._process.pid), self._process.pid]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def remove(self) -> None:
        """End it and delete its folder."""
        if self._process.running:
            self.resume()
            self._process.signal(signal.SIGQUIT)  # "immediate": its data is not needed
        self._process.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _children(parent: int) -> list[int]:
    listing = subprocess.check_output(["ps", "-A", "-o", "pid=,ppid="], text=True)
    pairs = [line.split() for line in listing.splitlines()]
    return [int(pid) for pid, ppid in pairs if int(ppid) == parent]
