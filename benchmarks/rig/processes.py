"""Processes of the benchmarks: started on one core, awaited, stopped."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rig.install import BUILD, HERE, Unavailable

START_SECONDS = 30.0
STOP_SECONDS = 5.0


@contextmanager
def process(command: list[str], core: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    """Start `command` on `core`, yield its process id, and stop it at the end."""
    BUILD.mkdir(exist_ok=True)
    with (BUILD / f"cluster-{Path(command[-2]).name}.log").open("ab") as log:
        started = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, **(environment or {})},
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        yield started.pid
    finally:
        stop(started)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Terminate the process; kill it after a few seconds. No server of the benchmarks has anything to save."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def rig_module(module: str, python: str = sys.executable) -> tuple[list[str], dict[str, str]]:
    """Command and environment that run a module of the rig.

    The current folder is not searched (-P): it may hold another copy of rtserver than `PYTHONPATH` names.
    """
    folders = [str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])]
    return [python, "-P", "-m", module], {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_port(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise Unavailable("redis-server does not answer")


def await_http(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if answers(port):
            return
        time.sleep(0.05)
    raise Unavailable(f"a server did not answer within {START_SECONDS:.0f} s")


def answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/socket.io/?EIO=4&transport=polling")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
