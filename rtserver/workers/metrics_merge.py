"""Merged `/metrics` of all workers: the worker that is scraped asks the others and labels each sample.

1. Each sample gets the label `worker`, the instance id.
2. A worker that does not answer within `SECONDS` is left out; `rtserver_workers_up` counts those that are in.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import Final

from rtserver.workers.handoff import HandoffSender

SECONDS: Final = 2.0
OWN_PATH: Final = "/metrics?worker=own"

_FAMILY = re.compile(rb"# (?:HELP|TYPE) (\S+)")


class MetricsMerger:
    """Reaches the other workers through `handoff`; `instance` is the id of this one."""

    def __init__(self, handoff: HandoffSender, instance: str) -> None:
        self._handoff = handoff
        self._instance = instance

    async def merge_all(self, own: bytes) -> bytes:
        """Return one exposition of all workers; `own` is that of this worker."""
        names = self._handoff.others()
        answers = await asyncio.gather(*map(self._fetch, names))
        found = {name: body for name, body in zip(names, answers, strict=True) if body is not None}
        found[self._instance] = own
        return merge(dict(sorted(found.items()))) + _workers_up(len(found))

    async def _fetch(self, name: str) -> bytes | None:
        try:
            async with asyncio.timeout(SECONDS):
                status, body = await self._handoff.get(name, OWN_PATH)
        except (OSError, TimeoutError):
            return None
        return body if status == 200 else None


def _workers_up(up: int) -> bytes:
    return b"# HELP rtserver_workers_up Workers in this answer\n# TYPE rtserver_workers_up gauge\n" + (
        b"rtserver_workers_up %d.0\n" % up
    )


def merge(expositions: Mapping[str, bytes]) -> bytes:
    """Merge expositions by worker into one; each metric family is in one place, as the format demands."""
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
