"""Two servers and one Redis: what an event costs that goes from a client of one to a client of the other.

Both servers have one core to themselves, Redis and the generator the other. Rounds are interleaved. README.md says how
to read the outcome, which goes to results/cluster.{md,svg,json}.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from rig.cross_kinds import CrossKind, cross_kinds, redis_program
from rig.cross_table import chart, table
from rig.install import BUILD, HERE, NODE_FOLDER, Unavailable, install_node_packages
from rig.servers import free_port, stop

START_SECONDS = 30.0
LIMIT_SECONDS = 120.0
RUNS = {"full": (0, False), "rate": (0, True), "foreign": (1, False)}
"""full: events for clients at the other server, as many as can be; rate: the same at a rate; foreign: for clients at
the same server, no business of the other's. Where the receivers are (1: where the senders are), and whether at a rate.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each run (8)")
    parser.add_argument("--rate", type=float, default=1000.0, help="events a second (1000)")
    parser.add_argument("--only", default="", help="some of the servers, by comma")
    parser.add_argument("--python", default=sys.executable, help="interpreter for rtserver and python-socketio")
    parser.add_argument("--cores", default="0,1", help="of the servers, and of Redis and the generator: 0,1")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    options = parser.parse_args()
    options.cores = [int(core) for core in options.cores.split(",")]
    try:
        install_node_packages()
        kinds = cross_kinds(options.python)
        redis_program()
    except Unavailable as error:
        sys.exit(str(error))
    kinds = [kind for kind in kinds if not options.only or kind.name in options.only.split(",")]
    records: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for run in RUNS:
            records += [measure(run, kind, options) | {"round": number} for kind in kinds]
        write(kinds, records, options)
    print((options.out / "cluster.md").read_text())
    return 0 if all(record["ok"] for record in records) else 1


def measure(run: str, kind: CrossKind, options: argparse.Namespace) -> dict[str, Any]:
    servers, other = options.cores
    with ExitStack() as stack:
        redis = free_port()
        command = [redis_program(), "--port", str(redis), "--save", "", "--bind", "127.0.0.1"]
        stack.enter_context(process(command, other))
        await_port(redis)
        environment = {"BENCH_REDIS": f"redis://127.0.0.1:{redis}", "BENCH_NODE": str(NODE_FOLDER), **kind.environment}
        ports = [free_port(), free_port()]
        pids = [stack.enter_context(process([*kind.command, str(port)], servers, environment)) for port in ports]
        for port in ports:
            await_http(port)
        near, timed = RUNS[run]
        arguments = [*ports, *pids, near, options.rate if timed else 0, options.seconds, 2]
        done = subprocess.run(
            [sys.executable, str(HERE / "rig" / "cross_load.py"), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            preexec_fn=lambda: os.sched_setaffinity(0, {other}),
        )
    output = json.loads(done.stdout) if done.stdout.strip() else {"ok": False, "error": done.stderr[-300:]}
    print(time.strftime("%T"), run.ljust(8), kind.name.ljust(17), line(run, output), flush=True)
    return {"run": run, "server": kind.name, **output}


def line(run: str, output: dict[str, Any]) -> str:
    if not output["ok"]:
        return f"FAILED {output}"
    if run == "foreign":
        return f"{output['cpu_b_us']:.1f} µs/event at the other server"
    speed = f"{output['cpu_us']:.1f} µs/event, {output['per_second']:,.0f}/s"
    return f"{speed}, p50 {output['p50_ms']:.2f} ms, p99 {output['p99_ms']:.2f} ms"


@contextmanager
def process(command: list[str], core: int, environment: dict[str, str] | None = None) -> Iterator[int]:
    """The id of a process on `core`; ended at the end."""
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


def write(kinds: list[CrossKind], records: list[dict[str, Any]], options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cluster.json").write_text(json.dumps({"runs": records}, indent=1) + "\n")
    (options.out / "cluster.md").write_text(table(kinds, records, options.rate))
    (options.out / "cluster.svg").write_text(chart(kinds, records))


if __name__ == "__main__":
    sys.exit(main())
