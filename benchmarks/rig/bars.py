"""Bar chart in SVG: a title and one horizontal bar for each figure, in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from rig.figures import number

PLOT, BAR, GAP, TOP = 400, 18, 10, 60
LETTER = 6.6
"""About the width of a letter."""


def bar_chart(title: str, label: str, bars: Sequence[tuple[str, float]], bound: float | None = None) -> str:
    """`label`: for screen readers. `bound`: a line across the bars, which they should not reach."""
    left = round(LETTER * max((len(name) for name, _ in bars), default=10)) + 24
    longest = max([bound or 0.0, *(figure for _, figure in bars)]) or 1.0
    height = TOP + len(bars) * (BAR + GAP) + GAP
    width = left + PLOT + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{escape(label)}">',
        "<style>text{font:12px system-ui,sans-serif;fill:#1f2328}.t{font-size:15px;font-weight:600}.o{fill:#1a7f37}"
        ".b{stroke:#b35900;stroke-dasharray:4 3}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.o{fill:#3fb950}.b{stroke:#f0883e}}</style>",
        f'<text class="t" x="16" y="24">{escape(title)}</text>',
    ]
    for at, (name, figure) in enumerate(bars):
        y = TOP + at * (BAR + GAP)
        size = max(2, round(PLOT * figure / longest))
        parts.append(f'<text x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect class="o" x="{left}" y="{y}" width="{size}" height="{BAR}" rx="2"/>')
        parts.append(f'<text x="{left + size + 6}" y="{y + 13}">{number(figure)}</text>')
    if bound is not None:
        x = left + round(PLOT * bound / longest)
        parts.append(f'<line class="b" x1="{x}" y1="{TOP - 8}" x2="{x}" y2="{height - GAP}"/>')
        parts.append(f'<text x="{x}" y="{TOP - 14}" text-anchor="middle">{number(bound)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
