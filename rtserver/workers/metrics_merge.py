"""`/metrics` of all workers as one: whichever is asked asks the others too, and tells whose each number is.

A line gets the label `worker`, the instance id. A worker that does not answer within `SECONDS` is left out, and
`rtserver_workers_up` says how many are in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Final

from rtserver.workers.handoff import HandoffSender

SECONDS: Final = 2.0
ONE: Final = "/metrics?worker=own"

_FAMILY = re.compile(rb"# (?:HELP|TYPE) (\S+)")


class MetricsMerger:
    def __init__(self, handover: HandoffSender, own: str) -> None:
        self._handover = handover
        self._own = own

    async def all(self, own: bytes) -> bytes:
        """`own`: what this worker counted itself."""
        names = self._handover.others()
        answers = await asyncio.gather(*map(self._of, names))
        found = {self._own: own} | {name: body for name, body in zip(names, answers, strict=True) if body is not None}
        return merged(dict(sorted(found.items()))) + _count(len(found))

    async def _of(self, name: str) -> bytes | None:
        try:
            async with asyncio.timeout(SECONDS):
                status, body = await self._handover.ask(name, ONE)
        except (OSError, TimeoutError):
            return None
        return body if status == 200 else None


def _count(up: int) -> bytes:
    return b"# HELP rtserver_workers_up Workers in this answer\n# TYPE rtserver_workers_up gauge\n" + (
        b"rtserver_workers_up %d.0\n" % up
    )


def merged(expositions: Mapping[str, bytes]) -> bytes:
    """One exposition, in which a family stands in one place, as the format demands."""
    heads: dict[bytes, list[bytes]] = {}
    samples: dict[bytes, list[bytes]] = {}
    for worker, text in expositions.items():
        family = b""
        for line in text.splitlines():
            if match := _FAMILY.match(line):
                family = match[1]
                lines = heads.setdefault(family, [])
                if line not in lines and len(lines) < 2:
                    lines.append(line)
            elif line and not line.startswith(b"#"):
                samples.setdefault(family, []).append(_labelled(line, worker.encode()))
    return b"".join(_lines(heads[family]) + _lines(samples.get(family, [])) for family in heads)


def _labelled(line: bytes, worker: bytes) -> bytes:
    name, brace, rest = line.partition(b"{")
    if brace:
        return b'%b{worker="%b",%b' % (name, worker, rest)
    name, _, value = line.partition(b" ")
    return b'%b{worker="%b"} %b' % (name, worker, value)


def _lines(lines: Iterable[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in lines)
