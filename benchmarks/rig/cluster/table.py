"""Table and chart of the cluster benchmark: cluster.md and cluster.svg."""

from __future__ import annotations

import time
from html import escape
from statistics import median
from typing import Any

from rig.cluster.servers_under_test import ServerUnderTest
from rig.figures import number

TARGETS = {"node-classic": 0.8, "stock": 0.25}
"""Upper bounds of rtserver's CPU, as a share of these."""
P99_MS = 5.0
LEFT, PLOT, BAR, GAP, TOP = 190, 420, 18, 10, 60


def table(servers: list[ServerUnderTest], records: list[dict[str, Any]], rate: float) -> str:
    out = [
        "# Two servers and one Redis",
        "",
        f"{time.strftime('%Y-%m-%d')}; medians of {_rounds(records)} rounds.",
        "",
        *(f"- **{server.name}**: {server.version}" for server in servers),
        "",
        "| servers | CPU of both, µs per event from one to the other, at full load | events/s "
        f"| p50 at {rate:,.0f}/s, ms | p99, ms | CPU of both then, µs "
        "| CPU of a server for an event that is none of its business, µs |",
        "|---|---|---|---|---|---|---|",
    ]
    for server in servers:
        figures = [_median(records, "full", server.name, key) for key in ("cpu_us", "per_second")]
        figures += [_median(records, "rate", server.name, key) for key in ("p50_ms", "p99_ms", "cpu_us")]
        figures.append(_median(records, "foreign", server.name, "cpu_b_us"))
        out.append(f"| {server.name} | {' | '.join('–' if f is None else number(f) for f in figures)} |")
    out += ["", *_verdicts(records)]
    if failed := [f"{r['run']} of {r['server']}" for r in records if not r["ok"]]:
        out += ["", "Failed, or lost or repeated events, and are not counted: " + ", ".join(failed) + "."]
    return "\n".join(out) + "\n"


def _rounds(records: list[dict[str, Any]]) -> int:
    return len({record["round"] for record in records})


def _median(records: list[dict[str, Any]], run: str, server: str, key: str) -> float | None:
    found = [r[key] for r in records if r["run"] == run and r["server"] == server and r["ok"]]
    return median(found) if found else None


def _verdicts(records: list[dict[str, Any]]) -> list[str]:
    lines = []
    for run, load in (("rate", "at the rate"), ("full", "at full load")):
        ours = _median(records, run, "rtserver-classic", "cpu_us")
        for name, factor in TARGETS.items():
            theirs = _median(records, run, name, "cpu_us")
            if ours is not None and theirs:
                verdict = _met(ours <= factor * theirs, factor)
                lines.append(f"- CPU of rtserver-classic {load}: {ours / theirs:.2f} × {name}; {verdict}")
    late = _median(records, "rate", "rtserver-classic", "p99_ms")
    if late is not None:
        lines.append(f"- p99 of rtserver-classic: {number(late)} ms; {_met(late < P99_MS, f'{P99_MS:g} ms')}")
    return lines


def _met(met: bool, target: object) -> str:
    return f"target ≤ {target}: {'met ✓' if met else '**missed ✗**'}"


def chart(servers: list[ServerUnderTest], records: list[dict[str, Any]]) -> str:
    """A bar for each pair of servers: CPU of both for an event from one to the other."""
    found = [(server.name, _median(records, "full", server.name, "cpu_us")) for server in servers]
    bars = [(name, figure) for name, figure in found if figure is not None]
    longest = max((figure for _, figure in bars), default=1.0)
    height = TOP + len(bars) * (BAR + GAP) + GAP
    width = LEFT + PLOT + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'role="img" aria-label="CPU of an event from one server to another">',
        "<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-size:15px;font-weight:600}.o{fill:#1a7f37}"
        ".n{fill:#8c959f}@media(prefers-color-scheme:dark){text{fill:#e6edf3}.o{fill:#3fb950}.n{fill:#6e7681}}</style>",
        '<text class="t" x="16" y="24">CPU of both servers for an event from one to the other, µs</text>',
    ]
    for at, (name, figure) in enumerate(bars):
        y = TOP + at * (BAR + GAP)
        colour = "o" if name.startswith("rtserver") else "n"
        size = max(2, round(PLOT * figure / longest))
        parts.append(f'<text x="{LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="{colour}" x="{LEFT}" y="{y}" width="{size}" height="{BAR}" rx="2"/>')
        parts.append(f'<text x="{LEFT + size + 6}" y="{y + 13}">{number(figure)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
