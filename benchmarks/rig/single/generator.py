"""Load generator in C: compiled once, run on a core of its own; its result is one line of JSON."""

from __future__ import annotations

import json
import os
import subprocess
from statistics import median
from typing import Any

from rig.install import BUILD, HERE, compile_c
from rig.single.server_process import Running

SOURCES = HERE / "load"
PROGRAM = BUILD / "load"
GRACE_SECONDS = 30.0


class Failed(Exception):
    """The generator gave no result."""


def compile_generator() -> None:
    compile_c(PROGRAM, sorted(SOURCES.glob("*.c")))


def generate(server: Running, core: int, arguments: str, limit: float) -> dict[str, Any]:
    """One run of at most `limit` seconds. `ok` in the result: every message arrived once and in order."""
    where = ["--port", str(server.port), "--pid", str(server.pid), "--max", str(limit)]
    command = [str(PROGRAM), *arguments.split(), *where]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=limit + GRACE_SECONDS,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    except subprocess.TimeoutExpired as error:
        raise Failed(f"the generator did not end within {limit:.0f} s") from error
    lines = done.stdout.strip().splitlines()
    if not lines:
        raise Failed(f"the generator gave no result: {done.stderr.strip()[-300:]}")
    output: dict[str, Any] = json.loads(lines[-1])
    if output["ok"] and output["waves"]:
        _add_waves(output, server)
    return output


def _add_waves(output: dict[str, Any], server: Running) -> None:
    """Add the figures of all waves together. The first wave is half as large as the others."""
    half, first, *_, last = output["waves"]
    output["connects_per_second"] = median(wave["connects_per_second"] for wave in output["waves"][1:])
    output["leave_growth"] = first["leave_us"] / half["leave_us"] if half["leave_us"] else 1.0
    output["resident_growth"] = last["after_kib"] / first["after_kib"]
    try:
        output["registries"] = server.registries()
    except (OSError, ValueError) as error:
        raise Failed("the server does not answer any more") from error
    output["registered"] = sum(output["registries"].values())
