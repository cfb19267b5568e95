"""The servers that are compared: which program with which versions."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rig.install import BUILD, HERE, NODE_FOLDER, Unavailable, compile_c, installed, python_with_rtserver, said

SERVERS = HERE / "servers"


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


def node_kind() -> Kind:
    if shutil.which("node") is None:
        raise Unavailable("there is no node here")
    version = f"socket.io {installed('socket.io')}, Node {said(['node', '--version'])}"
    return Kind("node", version, ["node", str(SERVERS / "node_server.js")])


def bun_kind() -> Kind:
    bun = NODE_FOLDER / "node_modules" / ".bin" / "bun"
    engine = installed("@socket.io/bun-engine")
    version = f"bun-engine {engine}, socket.io {installed('socket.io')}, Bun {said([str(bun), '--version'])}"
    return Kind("bun", version, [str(bun), "run", str(SERVERS / "bun_server.js")])


def rtserver_kind(python: str) -> Kind:
    python, about = python_with_rtserver(python)
    name = f"rtserver-{about['python'][0]}.{about['python'][1]}"
    return Kind(name, _python_version("rtserver", about), [python, str(SERVERS / "rtserver_server.py")],
                python=tuple(about["python"][:2]))  # fmt: skip


def stock_kind(pythons: Sequence[str]) -> Kind:
    """On the newest of these."""
    python, about = max(map(python_with_rtserver, pythons), key=lambda found: found[1]["python"])
    command = [python, str(SERVERS / "stock_server.py")]
    return Kind("stock", _python_version("python-socketio", about), command, python=tuple(about["python"][:2]))


def floor_kind() -> Kind:
    program = BUILD / "floor_server"
    compile_c(program, sorted((SERVERS / "floor").glob("*.c")))
    return Kind("floor", "an epoll loop in C that checks nothing", [str(program)], cannot=frozenset({"polling"}))


def _python_version(package: str, about: Mapping[str, Any]) -> str:
    python = ".".join(map(str, about["python"]))
    return f"{package} {about[package]}, aiohttp {about['aiohttp']}, uvloop {about['uvloop']}, Python {python}"
