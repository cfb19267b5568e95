"""Compare rtserver of another revision with the working tree: the runs of single.py, both versions in turn.

The median of the ratios of all rounds is printed for each row, and the exit code is 1 where one is worse than --bound.
Both versions run on the same Python and the same installed packages.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from rig.install import BUILD, PROJECT
from rig.single import generator, server_process
from rig.single.servers_under_test import ServerUnderTest
from rig.single.workloads import ROWS, RUNS, Row, Run
from single import FULL, QUICK, RUN_SECONDS, raise_file_limit, words

DEFAULT_RUNS = "echo,echo-1000,bcast,rooms,polling,idle"
BOUND = 1.03


def main() -> int:
    options = parse()
    raise_file_limit()
    generator.compile_generator()
    ratios: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git = ["git", "-C", str(PROJECT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(before), options.revision], check=True)
        try:
            versions = [version("before", before), version("now", PROJECT)]
            for round_number in range(options.rounds):
                for run in (run for run in RUNS if run.name in options.only):
                    measured = {
                        server.name: measure(run, server, code, options.quick)
                        for server, code in (versions if round_number % 2 else versions[::-1])
                    }
                    for row in (row for row in ROWS if row.run == run.name):
                        ratios[row.name].append(ratio(row, measured["now"], measured["before"]))
                        print(f"{round_number + 1} {row.name:12} {ratios[row.name][-1]:.3f}", flush=True)
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)
    return report(ratios, options.bound)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("revision", help="what the working tree is compared with")
    parser.add_argument("--only", type=words, default=words(DEFAULT_RUNS), help=f"runs, by comma ({DEFAULT_RUNS})")
    parser.add_argument("--rounds", type=int, default=5, help="how often each run is made (5)")
    parser.add_argument("--bound", type=float, default=BOUND, help=f"the largest ratio that is no regression ({BOUND})")
    parser.add_argument("--quick", action="store_true", help="short runs")
    return parser.parse_args()


def version(name: str, code: Path) -> tuple[ServerUnderTest, Path]:
    """The server of one version, started by that version's own script, and the folder of its package."""
    return ServerUnderTest(name, name, [sys.executable, str(code / "benchmarks/servers/rtserver_server.py")]), code


def measure(run: Run, server: ServerUnderTest, code: Path, quick: bool) -> dict[str, Any]:
    """What the generator reports; raises `generator.Failed` when a message was lost or wrong."""
    arguments = f"{QUICK if quick else FULL} {run.arguments} {run.quick if quick else ''}"
    environment = {**(run.quick_environment if quick else run.environment), "PYTHONPATH": str(code)}
    with server_process.running(server, 0, environment, BUILD / f"compare-{server.name}-{run.name}.log") as running:
        output: dict[str, Any] = generator.generate(running, 1, arguments, RUN_SECONDS)
    if not output["ok"]:
        raise generator.Failed(f"{server.name}: {output['first_fault']}")
    return output


def ratio(row: Row, now: dict[str, Any], before: dict[str, Any]) -> float:
    """Above 1 is worse; 1 where the figure is 0 on both sides."""
    new, old = row.read(now), row.read(before)
    if new == old:
        return 1.0
    return (old / new if row.more_is_better else new / old) if new and old else float("inf")


def report(ratios: dict[str, list[float]], bound: float) -> int:
    print("\n| row | now ÷ before, median | lowest | highest |\n|---|---|---|---|")
    titles = {row.name: row.title for row in ROWS}
    worst = 0.0
    for name, values in ratios.items():
        median = statistics.median(values)
        worst = max(worst, median)
        print(f"| {titles[name]} | {median:.3f} | {min(values):.3f} | {max(values):.3f} |")
    return int(worst > bound)


if __name__ == "__main__":
    sys.exit(main())
