"""Servers under test: which program with which versions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rig.install import BUILD, NODE_FOLDER, SERVERS, Unavailable, compile_c, installed, output_of, python_with_rtserver


@dataclass(frozen=True, slots=True)
class ServerUnderTest:
    name: str
    version: str
    command: Sequence[str]
    """Without the port, which comes last."""
    python: tuple[int, int] | None = None
    unsupported_runs: frozenset[str] = frozenset()
    """Names of runs that it does not support."""

    @property
    def is_rtserver(self) -> bool:
        return self.name.startswith("rtserver")


def node() -> ServerUnderTest:
    if shutil.which("node") is None:
        raise Unavailable("there is no node here")
    version = f"socket.io {installed('socket.io')}, Node {output_of(['node', '--version'])}"
    return ServerUnderTest("node", version, ["node", str(SERVERS / "node_server.js")])


def bun() -> ServerUnderTest:
    program = NODE_FOLDER / "node_modules" / ".bin" / "bun"
    engine = installed("@socket.io/bun-engine")
    version = f"bun-engine {engine}, socket.io {installed('socket.io')}, Bun {output_of([str(program), '--version'])}"
    return ServerUnderTest("bun", version, [str(program), "run", str(SERVERS / "bun_server.js")])


def rtserver(python: str) -> ServerUnderTest:
    python, about = python_with_rtserver(python)
    name = f"rtserver-{about['python'][0]}.{about['python'][1]}"
    return ServerUnderTest(name, _python_version("rtserver", about), [python, str(SERVERS / "rtserver_server.py")],
                python=tuple(about["python"][:2]))  # fmt: skip


def stock(pythons: Sequence[str]) -> ServerUnderTest:
    """python-socketio on the newest of these interpreters."""
    python, about = max(map(python_with_rtserver, pythons), key=lambda found: found[1]["python"])
    command = [python, str(SERVERS / "stock_server.py")]
    return ServerUnderTest(
        "stock", _python_version("python-socketio", about), command, python=tuple(about["python"][:2])
    )


def baseline() -> ServerUnderTest:
    program = BUILD / "baseline_server"
    compile_c(program, sorted((SERVERS / "baseline").glob("*.c")))
    return ServerUnderTest(
        "baseline", "an epoll loop in C that checks nothing", [str(program)], unsupported_runs=frozenset({"polling"})
    )


def _python_version(package: str, about: Mapping[str, Any]) -> str:
    python = ".".join(map(str, about["python"]))
    return f"{package} {about[package]}, aiohttp {about['aiohttp']}, uvloop {about['uvloop']}, Python {python}"
