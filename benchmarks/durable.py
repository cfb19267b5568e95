"""Benchmark of saved data: messages of /chat from the client's event to its ack, history, and notifications.

The server has one core to itself; the database, where it is a process, and the generator have the other. README.md says
how to read the results, which go to results/durable.{md,svg,json}.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jwt
from rig.durable.databases import database
from rig.durable.table import chart, table
from rig.install import BUILD, HERE, Unavailable, python_with_rtserver
from rig.processes import await_http, free_port, process, rig_module

LIMIT_SECONDS = 300.0
CLIENTS = 100
ROOM = 20
RUNS = {"one": (1, ROOM), "hundred": (100, CLIENTS)}
"""How many clients send, each one message at a time, and how many are connected, in rooms of `ROOM`."""
SINGLE = {"single": 1, "singles": 100}
"""How many callers notify single users, each one request at a time."""
EVERY = (*RUNS, "history", "notify", *SINGLE)
KINDS = ("sqlite", "postgres")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each run (6)")
    parser.add_argument("--only", default=",".join(EVERY), help=f"some of: {','.join(EVERY)}")
    parser.add_argument("--databases", default=",".join(KINDS), help="some of: sqlite,postgres")
    parser.add_argument("--messages", type=int, default=1_000_000, help="in the room whose history is read (1000000)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for rtserver")
    parser.add_argument("--cores", default="0,1", help="of the server, and of the database and the generator: 0,1")
    parser.add_argument("--out", type=Path, default=HERE / "results", help="folder for the results")
    options = parser.parse_args()
    options.cores = [int(core) for core in options.cores.split(",")]
    options.only = options.only.split(",")
    try:
        options.python, about = python_with_rtserver(options.python)
    except Unavailable as error:
        sys.exit(str(error))
    records: list[dict[str, Any]] = []
    for number in range(options.rounds):
        for run in options.only:
            if run == "history" and number:
                continue  # its thousands of pages are samples enough, and filling takes long
            for kind in options.databases.split(","):
                records.append(measure(run, kind, options) | {"round": number})
        write(about, records, options)
    print((options.out / "durable.md").read_text())
    return 0 if all(record["ok"] for record in records) else 1


def measure(run: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    try:
        with ExitStack() as stack:
            url = stack.enter_context(database(kind, options.cores[1]))
            output = history(url, options) if run == "history" else served(stack, run, url, options)
    except (Unavailable, subprocess.TimeoutExpired) as error:
        output = {"ok": False, "error": str(error)}
    print(time.strftime("%T"), run.ljust(8), kind.ljust(9), figures(output), flush=True)
    return {"run": run, "database": kind, **output}


def served(stack: ExitStack, run: str, url: str, options: argparse.Namespace) -> dict[str, Any]:
    servers, other = options.cores
    secret, key = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    environment = {"BENCH_DATABASE": url, "BENCH_SECRET": secret, "BENCH_KEY": key}
    port = free_port()
    command = [options.python, str(HERE / "servers" / "durable_rtserver.py"), str(port)]
    pid = stack.enter_context(process(command, servers, environment))
    await_http(port)
    if run == "notify":
        return generate("notification_load", [port, pid], [key, *tokens(secret, 1000)], other)
    if run in SINGLE:
        return generate("single_notification_load", [port, pid, SINGLE[run], options.seconds, 1], [key], other)
    senders, clients = RUNS[run]
    return generate("message_load", [port, pid, senders, options.seconds, 1], tokens(secret, clients), other)


def history(url: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run with the store alone, on the server's core: it measures the time in the database."""
    return generate("history_load", [options.messages], [url], options.cores[0], options.python)


def generate(
    module: str, arguments: list[Any], lines: list[str], core: int, python: str = sys.executable
) -> dict[str, Any]:
    command, environment = rig_module(f"rig.durable.{module}", python)
    done = subprocess.run(
        [*command, *map(str, arguments)],
        env=environment,
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    if not done.stdout.strip():
        return {"ok": False, "error": done.stderr[-500:]}
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def tokens(secret: str, count: int) -> list[str]:
    expires = int(time.time()) + 3600
    users = [{"sub": f"user{number}", "name": f"User {number}", "exp": expires} for number in range(count)]
    return [jwt.encode(user, secret) for user in users]


def figures(output: dict[str, Any]) -> str:
    if not output["ok"]:
        return f"FAILED {output}"
    return ", ".join(f"{name} {value:,.4g}" for name, value in output.items() if isinstance(value, float))


def write(about: dict[str, Any], records: list[dict[str, Any]], options: argparse.Namespace) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "durable.json").write_text(json.dumps({"runs": records}, indent=1) + "\n")
    (options.out / "durable.md").write_text(table(about, records, options.messages))
    (options.out / "durable.svg").write_text(chart(records))


if __name__ == "__main__":
    BUILD.mkdir(exist_ok=True)
    sys.exit(main())
