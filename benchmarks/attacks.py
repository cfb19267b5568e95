"""Benchmark of hostile clients: what another client and the server's memory bear while an attack runs.

A fresh server with the default settings for each attack; another client reads the newest message of a room again and
again. The figure is the longest time from one of its events to the ack. With --before both versions run in turn, on the
same installed packages. Results go to results/attacks.{md,svg}.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from rig.attacks.observer import Observed, observe
from rig.attacks.registry import ATTACKS, Attack
from rig.attacks.table import BOUND_MS, chart, table
from rig.attacks.target import Target
from rig.install import BUILD, HERE, PROJECT, SERVERS
from rig.processes import await_http, free_port, process, rig_module

LIMIT_SECONDS = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(ATTACKS), help=f"some of: {','.join(ATTACKS)}")
    parser.add_argument("--before", metavar="REVISION", help="compare with this revision")
    parser.add_argument("--cores", default="0,1", help="of the server, and of the attack and the other client (0,1)")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    options = parser.parse_args()
    server_core, _ = map(int, options.cores.split(","))
    records: list[dict[str, Any]] = []
    with ExitStack() as stack:
        versions = [("now", PROJECT)]
        if options.before:
            versions.insert(0, ("before", _checkout(stack, options.before)))
        for name in options.only.split(","):
            for version, code in versions:
                record = {"attack": name, "version": version, **_measure(name, ATTACKS[name], code, server_core)}
                print(time.strftime("%T"), name.ljust(18), version.ljust(7), record, flush=True)
                records.append(record)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "attacks.md").write_text(table(records))
    (options.out / "attacks.svg").write_text(chart(records))
    print(table(records))
    return int(any(r["error"] or r["worst_ms"] > BOUND_MS for r in records if r["version"] == "now"))


def _checkout(stack: ExitStack, revision: str) -> Path:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "before"
    git = ["git", "-C", str(PROJECT), "worktree"]
    subprocess.run([*git, "add", "--detach", "--quiet", str(folder), revision], check=True)
    stack.callback(subprocess.run, [*git, "remove", "--force", str(folder)], check=True)
    return folder


def _measure(name: str, attack: Attack, code: Path, core: int) -> dict[str, Any]:
    target = Target(free_port(), secrets.token_urlsafe(48), secrets.token_urlsafe(24), attack.parser)
    with tempfile.TemporaryDirectory() as folder:
        environment = {
            "RTSERVER_PORT": str(target.port),
            "RTSERVER_JWT_SECRET": target.secret,
            "RTSERVER_API_KEY": target.api_key,
            "RTSERVER_DATA_DIR": folder,
            "PYTHONPATH": str(code),
            **attack.environment,
        }
        with process([sys.executable, "-P", str(SERVERS / "shipped_rtserver.py"), "serve"], core, environment) as pid:
            await_http(target.port)
            if attack.prepare is not None:
                asyncio.run(attack.prepare(target))
            command, attacker_environment = rig_module("rig.attacks.attacker")
            attacker = [*command, name, str(target.port)]
            try:
                observed = asyncio.run(observe(target, pid, attacker, attacker_environment, LIMIT_SECONDS))
            except (OSError, TimeoutError) as error:
                return {"error": str(error) or type(error).__name__, "worst_ms": 0.0, "grown": 0}
    return {"error": "", **_figures(observed)}


def _figures(observed: Observed) -> dict[str, Any]:
    return {"worst_ms": max(observed.delays), "grown": observed.grown}


if __name__ == "__main__":
    BUILD.mkdir(exist_ok=True)
    sys.exit(main())
