"""Tables and chart of the durable benchmark: durable.md and durable.svg."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

from rig.bars import bar_chart
from rig.figures import number

GROUP_FACTOR = 10
PAGE_P99_MS = 10.0
NAMES = {"sqlite": "SQLite", "postgres": "Postgres"}


def table(about: dict[str, Any], records: list[dict[str, Any]], messages: int) -> str:
    python = ".".join(map(str, about["python"]))
    out = [
        "# What is saved",
        "",
        f"{time.strftime('%Y-%m-%d')}; rtserver {about['rtserver']}, Python {python}; medians of "
        f"{len({record['round'] for record in records})} rounds. Commits are on the disk before the ack.",
        "",
        "Messages of 64 characters in rooms of 20, each sender waiting for the ack of its last:",
        "",
        "| database | senders | messages/s | CPU of the server, µs per message | ack p50, ms | p99, ms |",
        "|---|---|---|---|---|---|",
    ]
    for kind in _kinds(records):
        for run, senders in (("one", "1"), ("hundred", "100")):
            figures = [_median(records, run, kind, key) for key in ("per_second", "cpu_us", "p50_ms", "p99_ms")]
            out.append(f"| {NAMES[kind]} | {senders} | {_cells(figures)} |")
    out += ["", *(line for kind in _kinds(records) if (line := _group_commit(records, kind)))]
    out += ["", f"A page of 50 out of a room of {messages:,} messages, anywhere in it, in the store:", ""]
    out += ["| database | p50, ms | p99, ms |", "|---|---|---|"]
    for kind in _kinds(records):
        figures = [_median(records, "history", kind, key) for key in ("p50_ms", "p99_ms")]
        out.append(f"| {NAMES[kind]} | {_cells(figures)} |")
    out += ["", *(line for kind in _kinds(records) if (line := _page(records, kind)))]
    out += ["", "One notification to 10,000 users, 1,000 of them connected, by `POST /api/notifications`:", ""]
    out += [
        "| database | all saved and arrived after, s | arrival p50, ms | p99, ms | CPU of the server, µs per user |"
    ]
    out += ["|---|---|---|---|---|"]
    for kind in _kinds(records):
        figures = [_median(records, "notify", kind, key) for key in ("seconds", "p50_ms", "p99_ms", "cpu_us")]
        out.append(f"| {NAMES[kind]} | {_cells(figures)} |")
    out += ["", "Notifications to single users, with a key each, each caller waiting for the answer to its last:", ""]
    out += ["| database | callers | notifications/s | CPU of the server, µs each | answer p50, ms | p99, ms |"]
    out += ["|---|---|---|---|---|---|"]
    for kind in _kinds(records):
        for run, callers in (("single", "1"), ("singles", "100")):
            figures = [_median(records, run, kind, key) for key in ("per_second", "cpu_us", "p50_ms", "p99_ms")]
            out.append(f"| {NAMES[kind]} | {callers} | {_cells(figures)} |")
    if failed := [f"{r['run']} on {r['database']}" for r in records if not r["ok"]]:
        out += ["", "Failed, or lost or repeated something, and are not counted: " + ", ".join(failed) + "."]
    return "\n".join(out) + "\n"


def _kinds(records: list[dict[str, Any]]) -> list[str]:
    return [kind for kind in NAMES if any(record["database"] == kind for record in records)]


def _median(records: list[dict[str, Any]], run: str, kind: str, key: str) -> float | None:
    found = [r[key] for r in records if r["run"] == run and r["database"] == kind and r["ok"]]
    return median(found) if found else None


def _cells(figures: list[float | None]) -> str:
    return " | ".join("–" if figure is None else number(figure) for figure in figures)


def _group_commit(records: list[dict[str, Any]], kind: str) -> str | None:
    one, hundred = (_median(records, run, kind, "per_second") for run in ("one", "hundred"))
    if one is None or hundred is None:
        return None
    factor = hundred / one
    verdict = _met(factor >= GROUP_FACTOR, f"≥ {GROUP_FACTOR} ×")
    return f"- {NAMES[kind]}: 100 senders save {factor:.1f} × what one does; {verdict}"


def _page(records: list[dict[str, Any]], kind: str) -> str | None:
    late = _median(records, "history", kind, "p99_ms")
    if late is None:
        return None
    return f"- {NAMES[kind]}: p99 {number(late)} ms; {_met(late <= PAGE_P99_MS, f'≤ {PAGE_P99_MS:g} ms')}"


def _met(met: bool, target: str) -> str:
    return f"target {target}: {'met ✓' if met else '**missed ✗**'}"


def chart(records: list[dict[str, Any]]) -> str:
    """Two bars for each database: messages a second of one sender and of a hundred."""
    bars = [
        (f"{NAMES[kind]}, {senders}", figure)
        for kind in _kinds(records)
        for run, senders in (("one", "1 sender"), ("hundred", "100 senders"))
        if (figure := _median(records, run, kind, "per_second")) is not None
    ]
    return bar_chart("Messages a second: saved, sent to a room of 20, acked", "Saved messages a second", bars)
