"""Servers of the cluster benchmark: which program with which versions."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field

from rig.install import SERVERS, Unavailable, installed, output_of, python_with_rtserver


@dataclass(frozen=True, slots=True)
class ServerUnderTest:
    name: str
    version: str
    command: list[str]
    """Without the port, which comes last."""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def adapter(self) -> str:
        return self.environment.get("BENCH_ADAPTER", "")


def servers_under_test(python: str) -> list[ServerUnderTest]:
    python, about = python_with_rtserver(python)
    ours = f"rtserver {about['rtserver']}, Python {'.'.join(map(str, about['python']))}"
    node = f"socket.io {_installed('socket.io')}, redis-adapter {_installed('@socket.io/redis-adapter')}"
    node = f"{node}, Node {output_of(['node', '--version'])}"
    servers = []
    for adapter in ("classic", "sharded"):
        environment = {"BENCH_ADAPTER": adapter}
        ours_command = [python, str(SERVERS / "cluster_rtserver.py")]
        servers.append(ServerUnderTest(f"rtserver-{adapter}", ours, ours_command, environment))
        servers.append(
            ServerUnderTest(f"node-{adapter}", node, ["node", str(SERVERS / "cluster_node.js")], environment)
        )
    stock = f"python-socketio {about['python-socketio']}, its Redis manager"
    return [*servers, ServerUnderTest("stock", stock, [python, str(SERVERS / "cluster_stock.py")])]


def redis_program() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise Unavailable("there is no redis-server here")
    return found


def _installed(package: str) -> str:
    if shutil.which("node") is None:
        raise Unavailable("there is no node here")
    return installed(package)
