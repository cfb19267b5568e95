"""Benchmark of the start: seconds until a server listens, and its memory at rest, next to Node's socket.io.

rtserver is started as a user does, with its defaults, a SQLite file and tables that are up to date. The servers take
turns, each on the same core. README.md says how to read the results, which go to results/startup.md.
"""

from __future__ import annotations

import argparse
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rig.figures import cpu
from rig.install import HERE, NODE_FOLDER, SERVERS, Unavailable, install_node_packages, installed, output_of
from rig.processes import free_port, stop

REST_SECONDS = 2.0
"""After it listens, before its memory is read."""
LIMIT_SECONDS = 60.0
Start = tuple[list[str], dict[str, str]]
Figures = tuple[float, float, float]
"""Seconds until it listens, seconds of CPU until then, megabytes at rest."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--core", type=int, default=0, help="of the servers: 0")
    parser.add_argument("--rtserver", default=str(Path(sys.executable).with_name("rtserver")), help="the command")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    options = parser.parse_args()
    try:
        install_node_packages()
        names = {"rtserver": _about_python(), "node": f"Node {output_of(['node', '--version'])}"}
        names["node"] += f", socket.io {installed('socket.io')}"
    except Unavailable as error:
        sys.exit(str(error))
    with tempfile.TemporaryDirectory() as folder:
        starts = {"rtserver": _rtserver(options.rtserver, folder), "node": _node}
        found: dict[str, list[Figures]] = {name: [] for name in starts}
        for number in range(options.rounds + 1):
            for name, start in starts.items():
                figures = measure(start, options.core, folder)
                if number:  # the first one reads the files from disk
                    found[name].append(figures)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "startup.md").write_text(text := table(found, names, options.rounds))
    print(text)
    return 0


def _about_python() -> str:
    return "rtserver, Python " + ".".join(map(str, sys.version_info[:3]))


def _rtserver(command: str, folder: str) -> Callable[[int], Start]:
    environment = {
        **os.environ,
        "RTSERVER_MODE": "production",
        "RTSERVER_JWT_SECRET": secrets.token_hex(32),
        "RTSERVER_DATABASE_URL": f"sqlite:///{folder}/rtserver.db",
    }
    subprocess.run([command, "db", "upgrade"], env=environment, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return lambda port: ([command, "serve"], environment | {"RTSERVER_PORT": str(port)})


def _node(port: int) -> Start:
    return ["node", str(SERVERS / "node_server.js"), str(port)], {**os.environ, "BENCH_NODE": str(NODE_FOLDER)}


def measure(start: Callable[[int], Start], core: int, folder: str) -> Figures:
    """Start a server, and stop it."""
    port = free_port()
    command, environment = start(port)
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    try:
        while not _listens(port):
            if process.poll() is not None or time.perf_counter() - began > LIMIT_SECONDS:
                sys.exit(f"{command[0]} does not start")
            time.sleep(0.002)
        seconds, used = time.perf_counter() - began, cpu(process.pid)
        time.sleep(REST_SECONDS)
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
        return seconds, used, pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    finally:
        stop(process)


def _listens(port: int) -> bool:
    """Look into the kernel's table: a connection would be work for the server."""
    line = f":{port:04X} 00000000:0000 0A "
    return line in Path("/proc/net/tcp").read_text()


def table(found: dict[str, list[Figures]], names: dict[str, str], rounds: int) -> str:
    """The results as Markdown: the median of the rounds, the lowest and the highest."""
    lines = [
        "# Start\n",
        f"{rounds} rounds; the median, the lowest and the highest. Load of the machine at the end: "
        f"{os.getloadavg()[0]:.1f}.\n",
        "| | seconds until it listens | CPU until then, s | MB at rest |",
        "|---|---|---|---|",
    ]
    for name, figures in found.items():
        cells = [
            f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
            for values, digits in zip(zip(*figures, strict=True), (2, 2, 0), strict=True)
        ]
        lines.append(f"| {names[name]} | {' | '.join(cells)} |")
    ratio = statistics.median(each[0] for each in found["rtserver"]) / statistics.median(e[0] for e in found["node"])
    return "\n".join([*lines, f"\nrtserver takes {ratio:.2f} times as long as Node.\n"])


if __name__ == "__main__":
    sys.exit(main())
