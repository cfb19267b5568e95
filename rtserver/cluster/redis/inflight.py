"""In-flight commands: written to Redis and not yet answered. Bounds their number, bytes and age.

Redis answers in order, so the oldest in-flight command is the one that the next reply belongs to, and one timer for
the oldest covers them all.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from rtserver.errors import Unavailable

COMMANDS = 256
BYTES = 256 * 1024
"""The window: more is written while less than this is in flight. What is in flight is lost with the connection."""
BYTES_PER_SECOND = 1_000_000
"""The slowest Redis that does not count as dead: the deadline grows with the bytes that are ahead."""
GRAIN = 0.005
"""Seconds that the timer runs late, so that the deadline has passed when it fires."""

Argument = str | bytes | int | float


class Command(msgspec.Struct, eq=False):
    """A packed command. `size` is its bytes with the overhead of Python objects; `since` and `until` are loop times.

    `answer` is None for a command whose reply is ignored (PUBLISH).
    """

    data: bytes
    size: int
    since: float
    answer: asyncio.Future[Any] | None
    until: float = 0.0
    """Set when it is written: the time by which its reply must have come."""

    @property
    def name(self) -> str:
        """The name of the command, in capitals; read from its bytes, so only for a rare case."""
        parts = self.data[:100].split(b"\r\n", 3)
        return parts[2].decode("ascii", "replace").upper() if len(parts) > 2 else ""

    def fail(self, error: BaseException | None) -> bool:
        """Fail with `Unavailable`, caused by `error`; return whether it was lost silently, for it has no `answer`."""
        if self.answer is None:
            return True
        if not self.answer.done():
            unavailable = Unavailable("Redis is not available")
            unavailable.__cause__ = error
            self.answer.set_exception(unavailable)
        return False


class InFlightCommands:
    def __init__(self, timeout: float, late: Callable[[], None]) -> None:
        """`late` is called when a reply takes longer than `timeout` seconds plus the time for the bytes ahead of it."""
        self._timeout, self._late = timeout, late
        self._written: deque[Command] = deque()
        self._bytes = 0
        self._clock: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._written)

    def add(self, command: Command) -> None:
        """Add a command that the caller writes right now."""
        self._bytes += command.size
        command.until = command.since + self._timeout + self._bytes / BYTES_PER_SECOND
        self._written.append(command)
        if self._clock is None:
            self._watch(command.since)

    def fill(self, queue: deque[Command], now: float) -> list[Command]:
        """Move commands from the queue into the window until it is full; return those, for the caller to write."""
        new = []
        written, size, at_once = self._written, self._bytes, now + self._timeout
        while queue and size < BYTES and len(written) < COMMANDS:
            command = queue.popleft()
            size += command.size
            command.until = at_once + size / BYTES_PER_SECOND
            written.append(command)
            new.append(command)
        self._bytes = size
        if new and self._clock is None:
            self._watch(now)
        return new

    def pop(self) -> Command:
        """Remove and return the oldest command, which the reply belongs to; `ConnectionError` if there is none."""
        try:
            command = self._written.popleft()
        except IndexError:
            raise ConnectionError("an answer to nothing") from None
        self._bytes -= command.size
        return command

    def clear(self) -> deque[Command]:
        """Remove and return all: the connection is gone and no reply will come."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None
        lost, self._written, self._bytes = self._written, deque(), 0
        return lost

    def _watch(self, now: float) -> None:
        delay = max(0.0, self._written[0].until - now)
        self._clock = asyncio.get_running_loop().call_later(delay + GRAIN, self._check)

    def _check(self) -> None:
        self._clock = None
        now = asyncio.get_running_loop().time()
        if not self._written:
            return
        if self._written[0].until <= now:
            self._late()
        else:
            self._watch(now)
