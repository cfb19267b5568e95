"""Benchmark of two servers on one Redis: the cost of an event from a client of one to a client of the other.

Both servers have one core to themselves, Redis and the generator the other. Rounds are interleaved. README.md says how
to read the results, which go to results/cluster.{md,svg,json}.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rig.cluster.servers_under_test import ServerUnderTest, redis_program, servers_under_test
from rig.cluster.table import chart, table
from rig.install import HERE, NODE_FOLDER, Unavailable, install_node_packages
from rig.processes import await_http, await_port, free_port, process, rig_module

LIMIT_SECONDS = 120.0
RUNS = {"full": (0, False), "rate": (0, True), "foreign": (1, False)}
"""Where the receivers are (1: at the server of the senders), and whether events are sent at a rate.

full: events for clients at the other server, as fast as possible; rate: the same at a rate; foreign: events for clients
at the same server, which do not concern the other one.
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
        servers = servers_under_test(options.python)
        redis_program()
    except Unavailable as error:
        sys.exit(str(error))
    servers = [server for server in servers if not options.only or server.name in options.only.split(",")]
    records: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for run in RUNS:
            records += [measure(run, server, options) | {"round": number} for server in servers]
        write(servers, records, options)
    print((options.out / "cluster.md").read_text())
    return 0 if all(record["ok"] for record in records) else 1


def measure(run: str, server: ServerUnderTest, options: argparse.Namespace) -> dict[str, Any]:
    server_core, other_core = options.cores
    with ExitStack() as stack:
        redis = free_port()
        command = [redis_program(), "--port", str(redis), "--save", "", "--bind", "127.0.0.1"]
        stack.enter_context(process(command, other_core))
        await_port(redis)
        environment = {
            "BENCH_REDIS": f"redis://127.0.0.1:{redis}",
            "BENCH_NODE": str(NODE_FOLDER),
            **server.environment,
        }
        ports = [free_port(), free_port()]
        pids = [stack.enter_context(process([*server.command, str(port)], server_core, environment)) for port in ports]
        for port in ports:
            await_http(port)
        near, timed = RUNS[run]
        arguments = [*ports, *pids, near, options.rate if timed else 0, options.seconds, 2]
        command, environment = rig_module("rig.cluster.load")
        done = subprocess.run(
            [*command, *map(str, arguments)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            preexec_fn=lambda: os.sched_setaffinity(0, {other_core}),
        )
    output = json.loads(done.stdout) if done.stdout.strip() else {"ok": False, "error": done.stderr[-300:]}
    print(time.strftime("%T"), run.ljust(8), server.name.ljust(17), line(run, output), flush=True)
    return {"run": run, "server": server.name, **output}


def line(run: str, output: dict[str, Any]) -> str:
    if not output["ok"]:
        return f"FAILED {output}"
    if run == "foreign":
        return f"{output['cpu_b_us']:.1f} µs/event at the other server"
    speed = f"{output['cpu_us']:.1f} µs/event, {output['per_second']:,.0f}/s"
    return f"{speed}, p50 {output['p50_ms']:.2f} ms, p99 {output['p99_ms']:.2f} ms"


def write(servers: list[ServerUnderTest], records: list[dict[str, Any]], options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "cluster.json").write_text(json.dumps({"runs": records}, indent=1) + "\n")
    (options.out / "cluster.md").write_text(table(servers, records, options.rate))
    (options.out / "cluster.svg").write_text(chart(servers, records))


if __name__ == "__main__":
    sys.exit(main())
