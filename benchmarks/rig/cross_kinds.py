"""The servers of the cluster benchmark."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from rig.install import Unavailable, installed, python_with_rtserver, said
from rig.kinds import SERVERS


@dataclass(frozen=True, slots=True)
class CrossKind:
    name: str
    version: str
    command: list[str]
    """Without the port, which comes last."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def adapter(self) -> str:
        return self.environment.get("BENCH_ADAPTER", "")


def cross_kinds(python: str) -> list[CrossKind]:
    python, about = python_with_rtserver(python)
    ours = f"rtserver {about['rtserver']}, Python {'.'.join(map(str, about['python']))}"
    node = f"socket.io {_installed('socket.io')}, redis-adapter {_installed('@socket.io/redis-adapter')}"
    node = f"{node}, Node {said(['node', '--version'])}"
    kinds = []
    for adapter in ("classic", "sharded"):
        environment = {"BENCH_ADAPTER": adapter}
        ours_command = [python, str(SERVERS / "cluster_rtserver.py")]
        kinds.append(CrossKind(f"rtserver-{adapter}", ours, ours_command, environment))
        kinds.append(CrossKind(f"node-{adapter}", node, ["node", str(SERVERS / "cluster_node.js")], environment))
    stock = f"python-socketio {about['python-socketio']}, its Redis manager"
    return [*kinds, CrossKind("stock", stock, [python, str(SERVERS / "cluster_stock.py")])]


def redis_program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise Unavailable("there is no redis-server here")
    return found


def _installed(package: str) -> str:
    if shutil.which("node") is None:
        raise Unavailable("there is no node here")
    return installed(package)
