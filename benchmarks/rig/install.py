"""Requirements of the benchmarks, made in build/: programs in C, npm packages, virtual environments."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
PROJECT = HERE.parent
SERVERS = HERE / "servers"
BUILD = HERE / "build"
NODE_FOLDER = BUILD / "node"
SECONDS = 600.0
C_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra", "-Wno-missing-field-initializers")


class Unavailable(Exception):
    """Something is not available on this machine; the text says what and why."""


def compile_c(program: Path, sources: Sequence[Path]) -> None:
    """Compile with `CC` and `CFLAGS` of the environment, if a file in the sources' folder is newer than `program`."""
    BUILD.mkdir(exist_ok=True)
    newest = max(file.stat().st_mtime for source in sources for file in source.parent.iterdir())
    if program.exists() and program.stat().st_mtime >= newest:
        return
    flags = [*C_FLAGS, *shlex.split(os.environ.get("CFLAGS", ""))]
    _run([os.environ.get("CC", "cc"), *flags, "-o", str(program), *map(str, sources)])


def install_node_packages() -> None:
    """Install socket.io, and Bun where npm has it for this machine. Does nothing when they are installed."""
    wanted = (HERE / "package.json").read_bytes()
    have = NODE_FOLDER / "package.json"
    if have.exists() and have.read_bytes() == wanted and (NODE_FOLDER / "node_modules" / "socket.io").exists():
        return
    if shutil.which("npm") is None:
        raise Unavailable("there is no npm here")
    NODE_FOLDER.mkdir(parents=True, exist_ok=True)
    (NODE_FOLDER / "package.json").write_bytes(wanted)
    _run(["npm", "install", "--prefix", str(NODE_FOLDER), "--no-audit", "--no-fund", "--loglevel=error"])


def installed(package: str) -> str:
    manifest = NODE_FOLDER / "node_modules" / package / "package.json"
    if not manifest.exists():
        raise Unavailable(f"npm did not install {package}")
    return str(json.loads(manifest.read_text())["version"])


def output_of(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} does not work: {error}") from error
    return done.stdout.strip()


def _run(command: Sequence[str]) -> None:
    print("  $", *(word.replace(f"{PROJECT}/", "") for word in command), flush=True)
    try:
        subprocess.run(command, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} failed: {error}") from error


_ABOUT = """
import json, sys
from importlib.metadata import version
names = ["rtserver", "python-socketio", "aiohttp", "uvloop"]
print(json.dumps({"python": sys.version_info[:3], **{name: version(name) for name in names}}))
"""


def python_with_rtserver(python: str) -> tuple[str, dict[str, Any]]:
    """An interpreter that has rtserver, and its versions. If `python` has no rtserver, a venv in build/ gets it."""
    for candidate in (python, str(_venv_of(python) / "bin" / "python")):
        try:
            return candidate, json.loads(output_of([candidate, "-c", _ABOUT]))
        except Unavailable:
            continue
    venv = _venv_of(python)
    _run([python, "-m", "venv", "--clear", str(venv)])
    inside = str(venv / "bin" / "python")
    _run([inside, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
          "--constraint", str(PROJECT / "requirements.lock"), "--editable", str(PROJECT)])  # fmt: skip
    return inside, json.loads(output_of([inside, "-c", _ABOUT]))


def _venv_of(python: str) -> Path:
    version = output_of([python, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])
    return BUILD / f"venv-{version}"
