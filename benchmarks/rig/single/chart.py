"""Chart results.svg: each server's figure as a multiple of Node's, on a logarithmic scale; the line is Node."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log2

from rig.single.servers_under_test import ServerUnderTest
from rig.single.summary import Cell, Line

LOWEST, HIGHEST = 1 / 16, 16.0
LEFT, PLOT, RIGHT = 390, 520, 60
BAR, GAP, TOP, BOTTOM = 12, 16, 64, 36
COLOURS = ("c0", "c1", "c2", "c3", "c4", "c5")
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 15px; font-weight: 600; } .faint { fill: #59636e; font-size: 11px; }
  .grid { stroke: #d1d9e0; } .node { stroke: #1f2328; stroke-width: 1.5; } .target { stroke: #cf222e; stroke-width: 2; }
  .c0 { fill: #1a7f37; } .c1 { fill: #4ac26b; } .c2 { fill: #8c959f; } .c3 { fill: #bf8700; } .c4 { fill: #8250df; }
  .c5 { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .faint { fill: #9198a1; } .grid { stroke: #3d444d; } .node { stroke: #e6edf3; }
    .target { stroke: #ff7b72; } .c0 { fill: #3fb950; } .c1 { fill: #26702f; } .c2 { fill: #6e7681; }
    .c3 { fill: #d29922; } .c4 { fill: #a371f7; } .c5 { fill: #4493f8; }
  }
"""


def svg(lines: list[Line], servers: list[ServerUnderTest]) -> str:
    names = [server.name for server in servers if server.name != "node"]
    names.sort(key=lambda name: (not name.startswith("rtserver"), name != "rtserver-3.13", name))
    shown = [line for line in lines if line.row.in_chart and "node" in line.cells and len(line.cells) > 1]
    height = TOP + sum(_height(line, names) for line in shown) + BOTTOM
    width = LEFT + PLOT + RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Each server\'s figure as a multiple of Node\'s">',
        f"<style>{STYLE}</style>",
        '<text class="title" x="16" y="24">Cost as a multiple of Node\'s: left of the line is better</text>',
        *_legend(names),
        *_grid(height),
        *_rows(shown, names),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _height(line: Line, names: list[str]) -> int:
    return BAR * len([name for name in names if _cost(line, name)]) + GAP


def _cost(line: Line, name: str) -> float | None:
    """The ratio to Node, inverted where more is better."""
    cell: Cell | None = line.cells.get(name)
    if cell is None or not cell.ratio:
        return None
    return 1 / cell.ratio if line.row.more_is_better else cell.ratio


def _x(ratio: float) -> float:
    bounded = min(max(ratio, LOWEST), HIGHEST)
    return LEFT + PLOT * (log2(bounded) - log2(LOWEST)) / (log2(HIGHEST) - log2(LOWEST))


def _legend(names: list[str]) -> Iterator[str]:
    x = 16.0
    for name, colour in zip(names, COLOURS, strict=False):
        yield f'<rect class="{colour}" x="{x}" y="36" width="12" height="12" rx="2"/>'
        yield f'<text x="{x + 17}" y="46">{escape(name)}</text>'
        x += 40 + 7.2 * len(name)
    yield f'<line class="target" x1="{x + 4}" x2="{x + 4}" y1="35" y2="49"/>'
    yield f'<text x="{x + 13}" y="46">target for rtserver</text>'


def _grid(height: int) -> Iterator[str]:
    ratio = LOWEST
    while ratio <= HIGHEST:
        x, server = _x(ratio), "node" if ratio == 1 else "grid"
        yield f'<line class="{server}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 4}"/>'
        label = "Node" if ratio == 1 else f"×{ratio:g}" if ratio > 1 else f"×1/{1 / ratio:g}"
        yield f'<text class="faint" x="{x:.1f}" y="{height - BOTTOM + 20}" text-anchor="middle">{label}</text>'
        ratio *= 2


def _rows(lines: list[Line], names: list[str]) -> Iterator[str]:
    y = TOP
    for line in lines:
        bars = [(name, cost) for name in names if (cost := _cost(line, name)) is not None]
        middle = y + BAR * len(bars) / 2
        yield f'<text x="{LEFT - 38}" y="{middle + 4:.1f}" text-anchor="end">{escape(line.row.title)}</text>'
        ours = 0
        for place, (name, cost) in enumerate(bars):
            yield from _bar(y + place * BAR, cost, COLOURS[names.index(name) % len(COLOURS)])
            ours += name.startswith("rtserver")
        if line.row.target.of_node is not None and ours:
            x = _x(line.row.target.of_node)
            yield f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 2}" y2="{y + ours * BAR}"/>'
        y += BAR * len(bars) + GAP


def _bar(y: int, cost: float, colour: str) -> Iterator[str]:
    node, end = _x(1), _x(cost)
    yield (
        f'<rect class="{colour}" x="{min(node, end):.1f}" y="{y}" width="{max(abs(end - node), 1):.1f}" '
        f'height="{BAR - 2}" rx="1.5"/>'
    )
    x, anchor = (end - 4, "end") if cost < 1 else (end + 4, "start")
    yield f'<text class="faint" x="{x:.1f}" y="{y + BAR - 3}" text-anchor="{anchor}">{cost:.2f}</text>'
