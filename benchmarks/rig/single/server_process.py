"""Process of a server under test: started on its core, queried for its registries, stopped."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rig.install import NODE_FOLDER, Unavailable
from rig.processes import free_port, stop
from rig.single.servers_under_test import ServerUnderTest

START_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    server: ServerUnderTest
    process: subprocess.Popen[bytes]
    port: int

    @property
    def pid(self) -> int:
        return self.process.pid

    def registries(self) -> dict[str, int]:
        """The numbers of sessions, clients and rooms that the server reports."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/registries")
            found: dict[str, int] = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        return found


@contextmanager
def running(server: ServerUnderTest, core: int, environment: Mapping[str, str], log: Path) -> Iterator[Running]:
    """Start a server with all threads on `core`, yield it once it answers, and stop it at the end."""
    port = free_port()
    variables = {"BENCH_NODE": str(NODE_FOLDER), **environment}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*server.command, str(port)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **variables},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    running = Running(server, process, port)
    try:
        _await_ready(running)
        yield running
    finally:
        stop(process)


def _await_ready(running: Running) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if running.process.poll() is not None:
            raise Unavailable(f"{running.server.name} ended with {running.process.returncode}; see its log")
        try:
            running.registries()
            return
        except (OSError, http.client.HTTPException, ValueError):
            time.sleep(0.05)
    raise Unavailable(f"{running.server.name} did not answer within {START_SECONDS:.0f} s")
