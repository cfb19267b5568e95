"""Run rtserver, Node's socket.io, stock python-socketio and Bun side by side and write results/.

The server has one core to itself and the generator another; rounds are interleaved, so that a disturbance of the
machine affects all of them. README.md says how to read the results.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rig.install import BUILD, HERE, Unavailable, install_node_packages
from rig.single import generator, server_process, servers_under_test
from rig.single.chart import svg
from rig.single.servers_under_test import ServerUnderTest
from rig.single.summary import summarize
from rig.single.table import markdown
from rig.single.workloads import ROWS, RUNS, Run

RESULTS = HERE / "results"
NAMES = ("rtserver", "node", "stock", "bun", "baseline")
RUN_SECONDS = 180.0
MAX_ROUNDS = 20
FULL = "--warm 1 --dur 4"
QUICK = "--warm 0.5 --dur 1"


def main() -> int:
    options = parse(sys.argv[1:])
    raise_file_limit()
    runs = [run for run in RUNS if not options.only or run.name in options.only]
    try:
        generator.compile_generator()
    except Unavailable as error:
        sys.exit(f"The load generator needs a C compiler: {error}")
    servers = find(options.servers, options.python)
    if not servers:
        sys.exit("None of the servers is available here.")
    about = describe(options)
    kept = other_runs(options, [run.name for run in runs]) if options.again else []
    records: list[dict[str, Any]] = []
    for round_number in range(options.rounds):
        for run in runs:
            able = [server for server in servers if run.name not in server.unsupported_runs]
            records += [measure(run, server, round_number, options) for server in rotated(able, round_number)]
        about.update(rounds=round_number + 1, load_after=round(os.getloadavg()[0], 2))
        write(servers, about, [*kept, *records], options.out)
    print((options.out / "results.md").read_text())
    return 1 if any(not record["output"]["ok"] for record in records) else 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = ", ".join(run.name for run in RUNS)
    parser.add_argument("--quick", action="store_true", help="one short round: shows that everything works")
    parser.add_argument("--only", type=words, default=[], help=f"some of the runs, by comma: {names}")
    parser.add_argument("--servers", type=words, default=list(NAMES), help=f"some of: {','.join(NAMES)}")
    parser.add_argument("--python", action="append", help="interpreter for rtserver; may be repeated")
    parser.add_argument("--rounds", type=int, help="how often each run is made (3; 1 with --quick)")
    parser.add_argument("--again", action="store_true", help="with --only: keep the other runs of an earlier outcome")
    parser.add_argument("--cores", type=words, default=["0", "1"], help="of the server and of the generator: 0,1")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results (benchmarks/results)")
    options = parser.parse_args(arguments)
    options.python = options.python or [sys.executable]
    options.rounds = options.rounds or (1 if options.quick else 3)
    options.cores = [int(core) for core in options.cores]
    known = {run.name for run in RUNS}
    if unknown := (set(options.only) - known) | (set(options.servers) - set(NAMES)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    if options.again and not (options.out / "results.json").exists():
        parser.error(f"--again needs the figures of an earlier run: {options.out / 'results.json'} is missing")
    if not 1 <= options.rounds <= MAX_ROUNDS:
        parser.error(f"--rounds must be from 1 to {MAX_ROUNDS}")
    if not set(options.cores) <= os.sched_getaffinity(0) or len(set(options.cores)) != 2:
        parser.error("--cores needs two different cores that this process may use")
    return options


def words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def raise_file_limit() -> None:
    """Raise the limit of open files, for 10,000 connections on either side. Servers and generators inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def find(names: Sequence[str], pythons: Sequence[str]) -> list[ServerUnderTest]:
    """The servers that are available here; for the others the reason is printed."""
    finders: list[tuple[str, Callable[[], ServerUnderTest]]] = []
    if "rtserver" in names:
        finders += [("rtserver", partial(servers_under_test.rtserver, python)) for python in pythons]
    if "node" in names:
        finders.append(("node", servers_under_test.node))
    if "stock" in names:
        finders.append(("stock", partial(servers_under_test.stock, pythons)))
    if "bun" in names:
        finders.append(("bun", servers_under_test.bun))
    if "baseline" in names:
        finders.append(("baseline", servers_under_test.baseline))
    if {"node", "bun"} & set(names):
        attempt("npm packages", install_node_packages)
    found = [server for name, finder in finders if (server := attempt(name, finder)) is not None]
    for server in found:
        print(f"{server.name}: {server.version}")
    return found


def attempt(name: str, work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Unavailable as error:
        print(f"without {name}: {error}", file=sys.stderr)
        return None


def other_runs(options: argparse.Namespace, names: Sequence[str]) -> list[dict[str, Any]]:
    """The records of earlier runs, in the folder for results, that are not repeated now."""
    records = json.loads((options.out / "results.json").read_text())["runs"]
    return [record for record in records if record["run"] not in names]


def rotated(servers: list[ServerUnderTest], by: int) -> list[ServerUnderTest]:
    """Begin each round with another server."""
    shift = by % len(servers) if servers else 0
    return servers[shift:] + servers[:shift]


def measure(run: Run, server: ServerUnderTest, round_number: int, options: argparse.Namespace) -> dict[str, Any]:
    arguments = f"{QUICK if options.quick else FULL} {run.arguments} {run.quick if options.quick else ''}"
    environment = run.quick_environment if options.quick else run.environment
    server_core, generator_core = options.cores
    log = BUILD / f"{server.name}-{run.name}.log"
    try:
        with server_process.running(server, server_core, environment, log) as running:
            output = generator.generate(running, generator_core, arguments, RUN_SECONDS)
    except (generator.Failed, Unavailable) as error:
        output = {"ok": False, "first_fault": str(error)}
    report(run, server, output)
    return {"run": run.name, "server": server.name, "round": round_number, "output": output}


def report(run: Run, server: ServerUnderTest, output: dict[str, Any]) -> None:
    figures = [f"{row.read(output):.3g} {row.unit}" for row in ROWS if row.run == run.name and output["ok"]]
    figures = figures or [f"FAILED: {output['first_fault']}"]
    print(f"{time.strftime('%H:%M:%S')} {run.name:12} {server.name:14} {', '.join(figures)}", flush=True)


def describe(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "quick": options.quick,
        "load_before": round(os.getloadavg()[0], 2),
    }


def cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def write(servers: list[ServerUnderTest], about: dict[str, Any], records: list[dict[str, Any]], folder: Path) -> None:
    lines = summarize(ROWS, servers, records)
    faults = [
        f"{record['run']}, {record['server']}, round {record['round'] + 1}: {record['output'].get('first_fault')}"
        for record in records
        if not record["output"]["ok"]
    ]
    folder.mkdir(parents=True, exist_ok=True)
    versions = {server.name: server.version for server in servers}
    runs = ",\n ".join(json.dumps(record) for record in records)
    text = f'{{"about": {json.dumps(about)},\n"servers": {json.dumps(versions, indent=1)},\n"runs": [\n {runs}\n]}}\n'
    (folder / "results.json").write_text(text)
    text = markdown(lines, servers, about, records, faults)
    (folder / "results.md").write_text(text)
    (folder / "results.svg").write_text(svg(lines, servers))


if __name__ == "__main__":
    sys.exit(main())
