"""Shared load: how many sessions each worker has open, so that new ones go to a worker that has fewer.

All workers accept from the same sockets, and the system wakes the same one again and again: clients that arrive one
after the other would all be its own. So a worker that has clearly more sessions than another hands handshakes over.

1. Each worker writes its number of sessions to a file next to its Unix socket, at each handshake and every `TICK`, with
   the time. The others read it; nobody waits for anybody.
2. A number older than `FRESH` counts for nothing: a worker that hangs gets no sessions.
3. A handshake moves only to a worker with clearly fewer sessions, so that its way ends, and at balance nothing moves.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

LOAD: Final = ".load"
"""Ending of the file, after the name of the worker."""
ACCEPTS_NEW: Final = ".new"
"""Ending of the file of a worker that opens new sessions."""
TICK: Final = 0.5
FRESH: Final = 1.5
UNEVEN: Final = 10
"""A worker is crowded when another has fewer sessions by more than its own divided by this, and by more than one."""

_RECORD = struct.Struct("=dq")


class SharedLoad:
    """The loads of all workers. `sessions()`: how many this one has open."""

    def __init__(self, folder: Path, own: str, sessions: Callable[[], int]) -> None:
        self._folder = folder
        self._own = own
        self._sessions = sessions
        self._file = -1
        self._others: dict[str, int] = {}
        """Descriptors of the files of the others, by worker."""
        self._tick: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Write this worker's load from now on."""
        self._file = os.open(self._folder / (self._own + LOAD), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._run()

    def close(self) -> None:
        """Write no more, and remove the file."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
            (self._folder / (self._own + LOAD)).unlink(missing_ok=True)
        self._forget(set(self._others))

    def crowded(self) -> bool:
        """Whether a new session should be opened by another worker."""
        if not self._others or self._file < 0:
            return False
        own = self._write()
        loads = self._loads().values()
        return bool(loads) and own - min(loads) > max(1, own // UNEVEN)

    def least(self) -> str | None:
        """Return a worker that opens sessions and has about the fewest of the others, None where there is none."""
        accepting = self._look_for_others()
        loads = self._loads()
        least = min(loads.values(), default=0)
        # Not always the same: its number is that of before the handshakes that are under way to it.
        fit = [name for name, load in loads.items() if load - least <= max(1, least // UNEVEN)]
        return secrets.choice(fit or list(accepting)) if accepting else None

    def _run(self) -> None:
        self._write()
        self._look_for_others()
        self._tick = asyncio.get_running_loop().call_later(TICK, self._run)

    def _write(self) -> int:
        own = self._sessions()
        os.pwrite(self._file, _RECORD.pack(time.monotonic(), own), 0)
        return own

    def _loads(self) -> dict[str, int]:
        now = time.monotonic()
        found = {}
        for name, file in self._others.items():
            record = os.pread(file, _RECORD.size, 0)
            if len(record) == _RECORD.size:
                written, load = _RECORD.unpack(record)
                if now - written <= FRESH:
                    found[name] = load
        return found

    def _look_for_others(self) -> set[str]:
        """Open the files of workers that open sessions, close those of the others, and return who opens sessions."""
        accepting = {path.name.removesuffix(ACCEPTS_NEW) for path in self._folder.glob("*" + ACCEPTS_NEW)} - {self._own}
        self._forget(set(self._others) - accepting)
        for name in accepting - set(self._others):
            with suppress(FileNotFoundError):
                self._others[name] = os.open(self._folder / (name + LOAD), os.O_RDONLY | os.O_CLOEXEC)
        return accepting

    def _forget(self, names: set[str]) -> None:
        for name in names:
            os.close(self._others.pop(name))
