"""Figures of the generators in Python: CPU time of a process, quantiles."""

import os

TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of CPU that the kernel charged the process, all threads."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def quantile(values: list[float], share: float) -> float:
    """The value at `share` (0 to 1) of sorted `values`; 0 when there are none."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def number(value: float) -> str:
    """`value` as text, with three digits at most where it is below 1,000."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f}"
