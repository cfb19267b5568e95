"""The load generators: compiled once, run on a core of their own, their one line of JSON read."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from typing import Any

from rig.servers import BUILD, HERE, Running

FLAGS = ("-O2", "-std=gnu11", "-Wall")
COMPILE_SECONDS = 120.0
GRACE_SECONDS = 30.0


class Failed(Exception):
    """The generator could not do its work at all."""


def compile_generators(names: set[str]) -> None:
    BUILD.mkdir(exist_ok=True)
    extra = shlex.split(os.environ.get("CFLAGS", ""))
    for name in sorted(names):
        source, program = HERE / f"{name}.c", BUILD / name
        if program.exists() and program.stat().st_mtime >= source.stat().st_mtime and not extra:
            continue
        compiler = os.environ.get("CC", "cc")
        command = [compiler, *FLAGS, *extra, "-o", str(program), str(source), "-lm"]
        subprocess.run(command, check=True, timeout=COMPILE_SECONDS)


def generate(generator: str, server: Running, core: int, arguments: str, limit: float) -> dict[str, Any]:
    """One run of at most `limit` seconds. `ok` in what it gives says whether every message came exactly once."""
    command = [
        str(BUILD / generator), *arguments.split(), "--port", str(server.port), "--pid", str(server.pid),
        "--cpu", str(core), "--max", str(limit),
    ]  # fmt: skip
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit + GRACE_SECONDS,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{generator} did not end within {limit:.0f} s") from error
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise Failed(f"{generator} gave no result: {done.stderr.strip()[-300:]}")
    output: dict[str, Any] = json.loads(lines[-1])
    return output
