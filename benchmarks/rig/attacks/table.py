"""Table and chart of the attacks: attacks.md and attacks.svg."""

from __future__ import annotations

import time
from typing import Any

from rig.attacks.registry import ATTACKS
from rig.bars import bar_chart
from rig.figures import number

BOUND_MS = 100.0
"""The longest that another client should wait."""


def table(records: list[dict[str, Any]]) -> str:
    versions = [version for version in ("before", "now") if any(r["version"] == version for r in records)]
    titles = [f"{what}, {version}" for what in ("longest ack, ms", "memory, MiB") for version in versions]
    out = [
        "# Attacks",
        "",
        f"{time.strftime('%Y-%m-%d')}. While each runs, another client of the same server waits at longest so long for "
        "an ack, and the server's memory grows at most so much:",
        "",
        f"| attack | {' | '.join(titles)} |",
        f"|---|{'---|' * len(titles)}",
    ]
    for name, attack in ATTACKS.items():
        found = {r["version"]: r for r in records if r["attack"] == name}
        if found:
            cells = [_cell(found.get(version), key) for key in ("worst_ms", "grown") for version in versions]
            out.append(f"| {attack.title} (`{name}`) | {' | '.join(cells)} |")
    return "\n".join(out) + "\n"


def chart(records: list[dict[str, Any]]) -> str:
    """A bar for each attack on the version of now: the longest ack of the other client."""
    bars = [(r["attack"], r["worst_ms"]) for r in records if r["version"] == "now" and not r["error"]]
    title = "Longest ack of another client while the attack runs, ms"
    return bar_chart(title, title, bars, bound=BOUND_MS)


def _cell(record: dict[str, Any] | None, key: str) -> str:
    if record is None:
        return "–"
    if record["error"]:
        return record["error"].replace("|", " ")
    return number(record[key] / (1024 * 1024 if key == "grown" else 1))
