"""The servers that are compared: how each is found, installed, started on its core and stopped."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
PROJECT = HERE.parent
BUILD = HERE / "build"
NODE_FOLDER = BUILD / "node"
SERVERS = HERE / "servers"
START_SECONDS = 30.0
STOP_SECONDS = 5.0
INSTALL_SECONDS = 600.0
C_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Wno-missing-field-initializers")


class Unavailable(Exception):
    """This server cannot be had on this machine; the text says why."""


@dataclass(frozen=True, slots=True)
class Kind:
    name: str
    version: str
    command: Sequence[str]
    """Without the port, which comes last."""
    python: tuple[int, int] | None = None
    cannot: frozenset[str] = frozenset()
    """Names of runs that are not for it."""

    @property
    def is_ours(self) -> bool:
        return self.name.startswith("rtserver")


@dataclass(frozen=True, slots=True)
class Running:
    kind: Kind
    process: subprocess.Popen[bytes]
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def registries(self) -> dict[str, int]:
        """How many sessions, clients and rooms the server says it holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/registries")
            found: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found


# Finding them.


def node_kind() -> Kind:
    if shutil.which("node") is None:
        raise Unavailable("there is no node here")
    version = f"socket.io {_installed('socket.io')}, Node {_said(['node', '--version'])}"
    return Kind("node", version, ["node", str(SERVERS / "node_server.js")])


def bun_kind() -> Kind:
    bun = NODE_FOLDER / "node_modules" / ".bin" / "bun"
    engine = _installed("@socket.io/bun-engine")
    version = f"bun-engine {engine}, socket.io {_installed('socket.io')}, Bun {_said([str(bun), '--version'])}"
    return Kind("bun", version, [str(bun), "run", str(SERVERS / "bun_server.js")])


def rtserver_kind(python: str) -> Kind:
    python, about = _python(python)
    name = f"rtserver-{about['python'][0]}.{about['python'][1]}"
    return Kind(name, _python_version("rtserver", about), [python, str(SERVERS / "rtserver_server.py")],
                python=tuple(about["python"][:2]))  # fmt: skip


def stock_kind(python: str) -> Kind:
    python, about = _python(python)
    return Kind("stock", _python_version("python-socketio", about), [python, str(SERVERS / "stock_server.py")],
                python=tuple(about["python"][:2]))  # fmt: skip


def floor_kind() -> Kind:
    program = BUILD / "floor_server"
    compile_c(program, [SERVERS / "floor_server.c"])
    return Kind("floor", "an epoll loop in C that checks nothing", [str(program)], cannot=frozenset({"polling"}))


def compile_c(program: Path, sources: Sequence[Path]) -> None:
    """With `CC` and `CFLAGS` of the environment, when a file beside the sources is newer than the program."""
    BUILD.mkdir(exist_ok=True)
    newest = max(file.stat().st_mtime for source in sources for file in source.parent.iterdir())
    if program.exists() and program.stat().st_mtime >= newest:
        return
    flags = [*C_FLAGS, *shlex.split(os.environ.get("CFLAGS", ""))]
    _run([os.environ.get("CC", "cc"), *flags, "-o", str(program), *map(str, sources)])


def _python_version(package: str, about: Mapping[str, Any]) -> str:
    python = ".".join(map(str, about["python"]))
    return f"{package} {about[package]}, aiohttp {about['aiohttp']}, uvloop {about['uvloop']}, Python {python}"


_ABOUT = """
import json, sys
from importlib.metadata import version
names = ["rtserver", "python-socketio", "aiohttp", "uvloop"]
print(json.dumps({"python": sys.version_info[:3], **{name: version(name) for name in names}}))
"""


def _python(python: str) -> tuple[str, dict[str, Any]]:
    """The interpreter with rtserver in it, installed into a venv of its own where it is not there yet."""
    for candidate in (python, str(_venv_of(python) / "bin" / "python")):
        try:
            return candidate, json.loads(_said([candidate, "-c", _ABOUT]))
        except Unavailable:
            continue
    venv = _venv_of(python)
    _run([python, "-m", "venv", "--clear", str(venv)])
    inside = str(venv / "bin" / "python")
    _run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
          "--constraint", str(PROJECT / "requirements.lock"), "--editable", str(PROJECT)])  # fmt: skip
    return inside, json.loads(_said([inside, "-c", _ABOUT]))


def _venv_of(python: str) -> Path:
    version = _said([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    return BUILD / f"venv-{version}"


def install_node_packages() -> None:
    """socket.io, and Bun where npm has it for this machine; nothing is done where that is already there."""
    wanted = (HERE / "package.json").read_bytes()
    have = NODE_FOLDER / "package.json"
    if have.exists() and have.read_bytes() == wanted and (NODE_FOLDER / "node_modules" / "socket.io").exists():
        return
    if shutil.which("npm") is None:
        raise Unavailable("there is no npm here")
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    (NODE_FOLDER / "package.json").write_bytes(wanted)
    _run(["npm", "install", "--prefix", str(NODE_FOLDER), "--no-audit", "--no-fund", "--loglevel=error"])


def _installed(package: str) -> str:
    manifest = NODE_FOLDER / "node_modules" / package / "package.json"
    if not manifest.exists():
        raise Unavailable(f"npm did not install {package}")
    return str(json.loads(manifest.read_text())["version"])


def _said(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} does not work: {error}") from error
    return done.stdout.strip()


def _run(command: Sequence[str]) -> None:
    print("  $", *(word.replace(f"{PROJECT}/", "") for word in command), flush=True)
    try:
        subprocess.run(command, timeout=INSTALL_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} failed: {error}") from error


# Running them.


@contextmanager
def running(kind: Kind, core: int, environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    """A fresh server process, all of its threads on `core`, that answers requests; stopped at the end."""
    port = _free_port()
    variables = {"BENCH_NODE": str(NODE_FOLDER), **environment}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [*kind.command, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **variables},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    server = Running(kind, process, port)
    try:
        _await_ready(server)
        yield server
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_ready(server: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise Unavailable(f"{server.kind.name} ended with {server.process.returncode}; see its log")
        try:
            server.registries()
            return
        except (OSError, http.client.HTTPException, ValueError):
            time.sleep(0.05)
    raise Unavailable(f"{server.kind.name} did not answer within {START_SECONDS:.0f} s")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """None of them has anything to save: killed when it does not go at once."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
