"""Workloads: the runs of the load generator, and the rows of the table that are read from them.

A run is one invocation of the generator against a fresh server; several rows may be read from one run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PYTHON_311 = (3, 11)


@dataclass(frozen=True, slots=True)
class Run:
    name: str
    arguments: str
    quick: str
    """Arguments that replace or extend the former with `--quick`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Of the server."""
    quick_environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Target:
    """The bound on rtserver's figure: `of_node` times Node's figure of the same run, or an `absolute` one."""

    of_node: float | None = None
    of_node_311: float | None = None
    of_baseline: float | None = None
    absolute: float | None = None

    def node_factor(self, python: tuple[int, int] | None) -> float | None:
        if python == PYTHON_311 and self.of_node_311 is not None:
            return self.of_node_311
        return self.of_node


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    run: str
    title: str
    unit: str
    figure: str
    """Path of the figure in the generator's JSON, "latency_ms.p99"."""
    target: Target
    more_is_better: bool = False
    in_chart: bool = True
    """Whether the ratio to Node is meaningful."""

    def read(self, output: Mapping[str, Any]) -> float:
        value: Any = output
        for key in self.figure.split("."):
            value = value[key]
        return float(value)


ECHO = Target(of_node=0.9, of_node_311=1.0)

RUNS = (
    Run("echo", "--mode echo --n 100 --win 10 --bytes 32", ""),
    Run("echo-1000", "--mode echo --n 1000 --win 1 --bytes 32", ""),
    Run("echo-1", "--mode echo --n 1 --win 1 --bytes 32", ""),
    Run("bcast", "--mode bcast --n 1000 --win 4 --bytes 64", ""),
    Run("bcast-5000", "--mode bcast --n 5000 --win 4 --bytes 64", ""),
    Run("rooms", "--mode room --n 1000 --k 10 --win 1 --bytes 64", ""),
    Run("rate", "--mode bcast --n 1000 --rate 5 --bytes 64 --dur 10", "--dur 3"),
    # One ping interval: each connection is pinged once.
    Run("idle", "--mode idle --n 10000 --dur 25", "--n 2000 --dur 5 --pingiv 5",
        quick_environment={"BENCH_PING_INTERVAL": "5"}),
    Run("waves", "--mode waves --n 10000 --waves 3", "--n 2000 --waves 2"),
    Run("polling", "--mode echo --transport polling --n 500 --win 1 --bytes 32", ""),
    Run("storm", "--mode storm --n 5000 --probes 100 --probe-rate 1000", "--n 2000"),
    Run("large", "--mode bcast --n 5000 --rate 2 --bytes 64 --probes 100 --probe-rate 1000 --dur 10", "--dur 3"),
)  # fmt: skip

ROWS = (
    Row("echo", "echo", "acked echo, 100 clients × 10 outstanding, 32 B", "µs/event", "cpu_us", ECHO),
    Row("echo-1000", "echo-1000", "acked echo, 1,000 clients × 1", "µs/event", "cpu_us",
        Target(of_node=0.7, of_node_311=1.0)),
    Row("echo-1", "echo-1", "acked echo, 1 client × 1", "µs/event", "cpu_us", ECHO),
    Row("bcast", "bcast", "broadcast to 1,000, 64 B", "µs/delivery", "cpu_us", Target(of_node=0.65)),
    Row("bcast-5000", "bcast-5000", "broadcast to 5,000, 64 B", "µs/delivery", "cpu_us",
        Target(of_node=0.6, of_baseline=1.4)),
    Row("rooms", "rooms", "rooms of 10 among 1,000", "µs/delivery", "cpu_us", Target(of_node=0.65)),
    Row("rate", "rate", "5 broadcasts a second to 1,000, p99", "ms", "latency_ms.p99", Target(absolute=15)),
    Row("idle", "idle", "10,000 idle connections answering pings", "% CPU", "cpu_percent", Target(absolute=1.5)),
    Row("rss", "idle", "RSS per connection, 10,000 on one process", "KiB", "resident_per_client_kib",
        Target(absolute=8)),
    Row("connects", "waves", "10,000 connect, 100 at a time", "connects/s", "connects_per_second",
        Target(of_node=1.0), more_is_better=True),
    Row("leave", "waves", "all leave at once: CPU each, at 10,000 ÷ at 5,000", "×", "leave_growth",
        Target(absolute=1.5), in_chart=False),
    Row("regrowth", "waves", "RSS after three waves ÷ after the first", "×", "resident_growth", Target(absolute=1.1),
        in_chart=False),
    Row("registries", "waves", "sessions, clients and rooms left when all are gone", "left", "registered",
        Target(absolute=0), in_chart=False),
    Row("polling", "polling", "500 polling clients, acked echo", "µs/event", "cpu_us", Target(of_node=1.2)),
    Row("storm", "storm", "acks of others while 5,000 connect, p99", "ms", "probe_ms.p99", Target(absolute=50)),
    Row("large", "large", "acks of others during broadcasts to 5,000, p99", "ms", "probe_ms.p99",
        Target(absolute=50)),
)  # fmt: skip
