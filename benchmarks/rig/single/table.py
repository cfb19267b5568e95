"""Tables of results.md."""

from __future__ import annotations

from statistics import median
from typing import Any

from rig.figures import number
from rig.single.servers_under_test import ServerUnderTest
from rig.single.summary import Cell, Line, target_text

LATENCY_RUNS = {
    "echo": ("acked echo, 100 × 10", "latency_ms"),
    "echo-1000": ("acked echo, 1,000 × 1", "latency_ms"),
    "echo-1": ("acked echo, 1 × 1", "latency_ms"),
    "polling": ("acked echo, 500 × 1, polling", "latency_ms"),
    "rate": ("5 broadcasts a second to 1,000", "latency_ms"),
    "storm": ("acks while 5,000 connect", "probe_ms"),
    "large": ("acks during broadcasts to 5,000", "probe_ms"),
}
BUSY_PERCENT = 90
QUANTILES = ("p50", "p99", "p999")


def markdown(
    lines: list[Line],
    servers: list[ServerUnderTest],
    about: dict[str, Any],
    records: list[dict[str, Any]],
    faults: list[str],
) -> str:
    names = [server.name for server in servers]
    out = ["# Results", "", _about(about), ""]
    out += [f"- **{server.name}**: {server.version}" for server in servers]
    out += ["", "Median (lowest–highest) of each server, × its ratio to Node. ✓ target met, ✗ target missed.", ""]
    out += ["| workload | unit | " + " | ".join(names) + " | target for rtserver |"]
    out += ["|---|---|" + "---|" * (len(names) + 1)]
    out += [_line(line, names) for line in lines]
    out += [
        "",
        "Latency in milliseconds, p50 / p99 / p99.9, medians. The generator keeps a saturated server's queue full",
    ]
    out += ["in the first four, so that there it says how long the queue is.", ""]
    out += ["| workload | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    out += [line for name in LATENCY_RUNS if (line := _latency_line(name, names, records))]
    if busy := _busy(records):
        out += ["", "The generator had little rest, so that the figure may be its own: " + ", ".join(busy) + "."]
    if faults:
        out += ["", "Runs that failed, or lost, repeated or reordered messages, and are not counted above:", ""]
        out += [f"- {fault}" for fault in faults]
    return "\n".join(out) + "\n"


def _about(about: dict[str, Any]) -> str:
    quick = " **A quick run: it shows that everything works, its figures are rough.**" if about["quick"] else ""
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores, {about['system']}; "
        f"rounds: {about['rounds']}, load average {about['load_before']} before and {about['load_after']} after.{quick}"
    )


def _line(line: Line, names: list[str]) -> str:
    cells = [_cell(line.cells.get(name)) for name in names]
    return f"| {line.row.title} | {line.row.unit} | " + " | ".join(cells) + f" | {target_text(line.row)} |"


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "–"
    verdict = {True: " ✓", False: " **✗**", None: ""}[cell.met]
    ratio = f" ×{cell.ratio:.2f}" if cell.ratio is not None else ""
    return f"{number(cell.median)} ({number(cell.low)}–{number(cell.high)}){ratio}{verdict}"


def _busy(records: list[dict[str, Any]]) -> list[str]:
    found = {
        f"{record['run']} of {record['server']}"
        for record in records
        if record["output"].get("generator_busy_percent", 0) > BUSY_PERCENT
    }
    return sorted(found)


def _latency_line(run: str, names: list[str], records: list[dict[str, Any]]) -> str | None:
    title, key = LATENCY_RUNS[run]
    cells = []
    for name in names:
        outputs = [r["output"] for r in records if r["run"] == run and r["server"] == name and r["output"]["ok"]]
        figures = [number(median(output[key][quantile] for output in outputs)) for quantile in QUANTILES if outputs]
        cells.append(" / ".join(figures) or "–")
    return f"| {title} | {' | '.join(cells)} |" if set(cells) != {"–"} else None
