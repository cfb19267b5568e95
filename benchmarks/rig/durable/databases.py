"""Databases of the benchmark: a fresh SQLite file or a Postgres of its own. A commit is on the disk, as by default."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.install import BUILD, Unavailable
from rig.processes import free_port, stop

START_SECONDS = 30.0


@contextmanager
def database(kind: str, core: int) -> Iterator[str]:
    """Yield the URL of an empty database of `kind`, sqlite or postgres; remove it at the end. Its server has `core`."""
    BUILD.mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="rtserver-bench-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{folder}/bench.db"
        else:
            with _postgres(folder, core) as url:
                yield url
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _postgres(folder: Path, core: int) -> Iterator[str]:
    programs, account, port = _programs(), _account(), free_port()
    if account:
        shutil.chown(folder, account)
    data = folder / "data"
    options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"]
    _do([programs / "initdb", "-D", data, *options], account)
    command = [programs / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", folder]
    with (BUILD / "postgres.log").open("ab") as log:
        started = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=account,
            cwd=folder,
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        place = ["-h", "127.0.0.1", "-p", str(port), "-U", "postgres"]
        while subprocess.run([programs / "pg_isready", "-q", *place], check=False).returncode:
            if time.monotonic() > deadline:
                raise Unavailable("Postgres does not answer; see build/postgres.log")
            time.sleep(0.05)
        yield f"postgresql+asyncpg://postgres@127.0.0.1:{port}/postgres"
    finally:
        stop(started)


def _programs() -> Path:
    """The folder of Postgres' programs; Debian keeps them out of PATH."""
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders = sorted(debian, key=lambda found: float(found.parent.name), reverse=True)
    if program := shutil.which("postgres"):
        folders.append(Path(program).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise Unavailable("there is no Postgres here")


def _account() -> str | None:
    """The account for Postgres, which refuses to run as root; None for the present one."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def _do(command: list[str | Path], account: str | None) -> None:
    words = [str(word) for word in command]
    try:
        subprocess.run(words, user=account, cwd="/", capture_output=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{command[0]} failed: {error}") from error
