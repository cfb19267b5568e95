"""Summary of all runs: medians, their spread, ratios to Node, targets met or missed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import Any

from rig.single.servers_under_test import ServerUnderTest
from rig.single.workloads import Row, Target


@dataclass(frozen=True, slots=True)
class Cell:
    median: float
    low: float
    high: float
    samples: int
    ratio: float | None = None
    """To Node's median."""
    met: bool | None = None
    """None without a target, or without a figure to compare with."""


@dataclass(frozen=True, slots=True)
class Line:
    row: Row
    cells: dict[str, Cell]


def summarize(rows: Iterable[Row], servers: list[ServerUnderTest], records: list[dict[str, Any]]) -> list[Line]:
    lines = []
    for row in rows:
        plain = {server.name: cell for server in servers if (cell := _cell(row, server.name, records)) is not None}
        if plain:
            lines.append(
                Line(row, {server.name: _judged(row, server, plain) for server in servers if server.name in plain})
            )
    return lines


def _cell(row: Row, server: str, records: list[dict[str, Any]]) -> Cell | None:
    """Only runs without a fault count."""
    outputs = [r["output"] for r in records if r["run"] == row.run and r["server"] == server and r["output"].get("ok")]
    figures = [row.read(output) for output in outputs]
    if not figures:
        return None
    return Cell(median(figures), min(figures), max(figures), len(figures))


def _judged(row: Row, server: ServerUnderTest, cells: dict[str, Cell]) -> Cell:
    cell, node = cells[server.name], cells.get("node")
    ratio = cell.median / node.median if node is not None and node.median else None
    met = _met(row, server, cell.median, cells) if server.is_rtserver else None
    return Cell(cell.median, cell.low, cell.high, cell.samples, ratio, met)


def _met(row: Row, server: ServerUnderTest, figure: float, cells: dict[str, Cell]) -> bool | None:
    verdicts = [
        figure >= bound if row.more_is_better else figure <= bound for bound in _bounds(row.target, server, cells)
    ]
    return all(verdicts) if verdicts else None


def _bounds(target: Target, server: ServerUnderTest, cells: dict[str, Cell]) -> list[float]:
    factors = {"node": target.node_factor(server.python), "baseline": target.of_baseline}
    bounds = [factor * cells[name].median for name, factor in factors.items() if factor is not None and name in cells]
    return [*bounds, target.absolute] if target.absolute is not None else bounds


def target_text(row: Row) -> str:
    sign = "≥" if row.more_is_better else "≤"
    target, parts = row.target, []
    if target.of_node is not None:
        more = f" ({target.of_node_311:g} on 3.11)" if target.of_node_311 not in (None, target.of_node) else ""
        parts.append(f"{sign} {target.of_node:g} × Node{more}")
    if target.of_baseline is not None:
        parts.append(f"{sign} {target.of_baseline:g} × C")
    if target.absolute is not None:
        parts.append(f"{sign} {target.absolute:g} {row.unit}")
    return ", ".join(parts)
