"""results.md: the table for people."""

from __future__ import annotations

from typing import Any

from rig.servers import Kind
from rig.summary import Cell, Line, target_text


def markdown(lines: list[Line], kinds: list[Kind], about: dict[str, Any], faults: list[str]) -> str:
    names = [kind.name for kind in kinds]
    out = ["# Results", "", _about(about), ""]
    out += [f"- **{kind.name}**: {kind.version}" for kind in kinds]
    out += ["", "Median (lowest–highest) of each server, × its ratio to Node. ✓ target met, ✗ target missed.", ""]
    out += ["| workload | unit | " + " | ".join(names) + " | target for rtserver |"]
    out += ["|---|---|" + "---|" * (len(names) + 1)]
    out += [_line(line, names) for line in lines]
    if faults:
        out += ["", "Runs that failed, or lost, repeated or reordered messages, and are not counted above:", ""]
        out += [f"- {fault}" for fault in faults]
    return "\n".join(out) + "\n"


def _about(about: dict[str, Any]) -> str:
    quick = " **A quick run: it shows that everything works, its figures are rough.**" if about["quick"] else ""
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores, {about['system']}; "
        f"{about['rounds']} rounds, load {about['load'][0]} before and {about['load'][1]} after.{quick}"
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


def number(value: float) -> str:
    """Three figures, no more."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"
