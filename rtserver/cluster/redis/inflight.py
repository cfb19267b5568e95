"""Commands that were written to Redis and are not answered yet; how many there may be, and how long it may take."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from rtserver.errors import Unavailable

COMMANDS = 256
BYTES = 256 * 1024
"""Until there are more than these, more are written; they are lost when the connection breaks."""
BYTES_PER_SECOND = 1_000_000
GRAIN = 0.005

Argument = str | bytes | int | float


class Command(msgspec.Struct, eq=False):
    """`data`: packed; `size`: in bytes, with what Python takes for it."""

    data: bytes
    size: int
    since: float
    answer: asyncio.Future[Any] | None
    until: float = 0.0
    """Once it is written: when its answer must be there."""

    def fail(self, error: BaseException | None) -> bool:
        """Whether something was lost that nobody is told of."""
        if self.answer is None:
            return True
        if not self.answer.done():
            unavailable = Unavailable("Redis is not available")
            unavailable.__cause__ = error
            self.answer.set_exception(unavailable)
        return False


class InFlightCommands:
    def __init__(self, timeout: float, late: Callable[[], None]) -> None:
        """`late` is called when an answer takes longer than `timeout`, and what was written before it needs."""
        self._timeout, self._late = timeout, late
        self._written: deque[Command] = deque()
        self._bytes = 0
        self._clock: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._written)

    def add(self, command: Command) -> None:
        """It is written as soon as it is there."""
        self._bytes += command.size
        command.until = command.since + self._timeout + self._bytes / BYTES_PER_SECOND
        self._written.append(command)
        if self._clock is None:
            self._watch(command.since)

    def fill(self, queue: deque[Command], now: float) -> list[Command]:
        """Take from the queue what is to be written now, as far as the window is open."""
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

    def take(self) -> Command:
        """The one that has been answered."""
        try:
            command = self._written.popleft()
        except IndexError:
            raise ConnectionError("an answer to nothing") from None
        self._bytes -= command.size
        return command

    def empty(self) -> deque[Command]:
        """What will not be answered any more."""
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
