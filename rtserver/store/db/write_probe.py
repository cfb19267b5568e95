"""Write probe: whether the database or a folder takes writes. A full disk still answers every read.

1. A write costs a flush of the disk, and health checks come each second from several places: at most one probe in
   `EVERY` seconds, and none where something was written since the last one anyway.
2. A probe that takes longer than `PATIENCE` goes on in the background, and the last result holds: a queue of writers
   is not a full disk.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

EVERY: Final = 5.0
PATIENCE: Final = 0.5


class WriteProbe:
    """`write()` writes something small; `written()` changes whenever something was written."""

    def __init__(self, write: Callable[[], Awaitable[None]], written: Callable[[], int] = lambda: 0) -> None:
        self._write = write
        self._written = written
        self._seen = written()
        self._due = 0.0
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def check(self) -> None:
        """Raise what the last probe raised; before, probe again where that is due."""
        if self._written() != self._seen:
            self._seen, self._error, self._due = self._written(), None, time.monotonic() + EVERY
        elif self._task is None and time.monotonic() >= self._due:
            self._task = asyncio.create_task(self._run())
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=PATIENCE)
        if self._error is not None:
            raise self._error

    async def _run(self) -> None:
        try:
            await self._write()
            self._error = None
        except Exception as error:  # noqa: BLE001  the root of the task: reported by `check`
            self._error = error
        self._seen, self._due, self._task = self._written(), time.monotonic() + EVERY, None
