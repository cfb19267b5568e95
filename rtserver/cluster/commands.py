"""Commands to Redis: one connection, one queue, in order, many in one write.

Rules:
1. Adding a command never waits. The queue is bounded in bytes and number; when it is full the oldest go.
2. A command that wants no answer (PUBLISH) may wait out a short interruption, up to `max_age`; one that wants
   an answer fails at once while there is no connection.
3. A command is written at most once: when the connection breaks, what was written without an answer is lost,
   since Redis may have carried it out.
4. A batch has `timeout` seconds, more if it is large; then the connection counts as dead.
5. A Redis that says that it is the wrong one (read-only, moved) is left, to look for the right one.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog
from redis.asyncio import Connection
from redis.exceptions import MovedError, ReadOnlyError, ResponseError

from rtserver.cluster.connection import FAILURES, Backoff, Connect, Demoted, closed, opened, sever
from rtserver.errors import Unavailable

log = structlog.get_logger("rtserver.redis")

BATCH_COMMANDS = 256
BATCH_BYTES = 256 * 1024
BYTES_PER_SECOND = 1_000_000

Argument = str | bytes | int | float


@dataclass(slots=True)
class _Command:
    args: tuple[Argument, ...]
    size: int
    since: float
    answer: asyncio.Future[Any] | None

    def fail(self, error: BaseException | None) -> bool:
        """Whether something was lost that nobody is told of."""
        if self.answer is None:
            return True
        if not self.answer.done():
            unavailable = Unavailable("Redis is not available")
            unavailable.__cause__ = error
            self.answer.set_exception(unavailable)
        return False


class CommandQueue:
    """`on_drop(n)`: n publishes were lost. `on_change(error)`: connected, or (with the reason) no longer.

    `on_refusal(error)`: Redis answered, and would not do it.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        on_drop: Callable[[int], None],
        on_change: Callable[[BaseException | None], None],
        on_refusal: Callable[[ResponseError], None],
        timeout: float = 1.0,
        max_bytes: int = 8 * 1024 * 1024,
        max_commands: int = 10_000,
        max_age: float = 5.0,
    ) -> None:
        self._connect = connect
        self._on_drop, self._on_change, self._on_refusal = on_drop, on_change, on_refusal
        self._timeout, self._max_age = timeout, max_age
        self._max_bytes, self._max_commands = max_bytes, max_commands
        self._queue: deque[_Command] = deque()
        self._bytes = 0
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._connection: Connection | None = None
        self.connected = False

    def add(self, *args: Argument) -> None:
        self._append(_Command(args, _size(args), _now(), None))

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        command = _Command(args, _size(args), _now(), answer)
        if self.connected:
            self._append(command)
        else:
            command.fail(None)
        return answer

    async def flush(self, timeout: float) -> None:
        """Wait until everything is written and answered, at most `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._idle.wait()
        except TimeoutError:
            return

    def leave(self, error: BaseException) -> None:
        """Give this connection up and make a new one."""
        if self.connected and self._connection is not None:
            self.connected = False
            self._on_change(error)
            sever(self._connection)
            self._wake.set()

    async def run(self) -> None:
        """Connect, write, and start over when that fails; ends only by cancellation."""
        backoff = Backoff()
        try:
            while True:
                error = await self._one_connection(backoff)
                self._down(error)
                await asyncio.sleep(backoff.pause())
        finally:
            self._down(None)
            self._drop(len(self._queue))

    async def _one_connection(self, backoff: Backoff) -> BaseException:
        connection = None
        try:
            self._connection = connection = await opened(self._connect)
            backoff.connected()
            self.connected = True
            self._on_change(None)
            await self._pump(connection)
        except FAILURES as error:
            return error
        except Exception as error:
            log.exception("redis_writer_failed")
            return error
        finally:
            self.connected = False
            self._connection = None
            if connection is not None:
                await closed(connection)

    async def _pump(self, connection: Connection) -> NoReturn:
        while True:
            await self._wake.wait()
            self._expire()
            if await connection.can_read():  # answers are all read: this is the end of the stream
                raise ConnectionError("closed by Redis")
            batch = self._take()
            if batch:
                await self._exchange(connection, batch)
            if not self._queue:
                self._wake.clear()
                self._idle.set()

    async def _exchange(self, connection: Connection, batch: list[_Command]) -> None:
        waiting = deque(batch)
        size = sum(command.size for command in batch)
        refused = 0
        try:
            async with asyncio.timeout(self._timeout + size / BYTES_PER_SECOND):
                packed = connection.pack_commands([command.args for command in batch])
                await connection.send_packed_command(packed, check_health=False)
                while waiting:
                    refused += await self._answer(connection, waiting[0])
                    waiting.popleft()
        except BaseException as error:
            refused += sum(command.fail(error) for command in waiting)
            raise
        finally:
            if refused:
                self._on_drop(refused)

    async def _answer(self, connection: Connection, command: _Command) -> bool:
        try:
            answer = await connection.read_response(timeout=math.inf, disconnect_on_error=False)
        except (ReadOnlyError, MovedError) as error:
            self._on_refusal(error)
            raise Demoted from error
        except ResponseError as error:
            self._on_refusal(error)
            return command.fail(error)
        if command.answer is not None and not command.answer.done():
            command.answer.set_result(answer)
        return False

    def _append(self, command: _Command) -> None:
        self._queue.append(command)
        self._bytes += command.size
        while self._bytes > self._max_bytes or len(self._queue) > self._max_commands:
            self._drop(1)
        if not self.connected:
            self._expire()
        if self._queue:
            self._wake.set()
            self._idle.clear()

    def _take(self) -> list[_Command]:
        batch: list[_Command] = []
        size = 0
        while self._queue and len(batch) < BATCH_COMMANDS and size < BATCH_BYTES:
            command = self._queue.popleft()
            size += command.size
            batch.append(command)
        self._bytes -= size
        return batch

    def _expire(self) -> None:
        """Old news is worse than none."""
        oldest = _now() - self._max_age
        expired = 0
        for command in self._queue:
            if command.since >= oldest:
                break
            expired += 1
        self._drop(expired)

    def _drop(self, count: int) -> None:
        if not count:
            return
        commands = [self._queue.popleft() for _ in range(count)]
        self._bytes -= sum(command.size for command in commands)
        lost = sum(command.fail(None) for command in commands)
        if lost:
            self._on_drop(lost)

    def _down(self, error: BaseException | None) -> None:
        """Questions are answered now; what may wait stays."""
        kept = [command for command in self._queue if command.fail(error)]
        self._queue = deque(kept)
        self._bytes = sum(command.size for command in kept)
        if not kept:
            self._idle.set()
        if error is not None:
            self._on_change(error)


def _size(args: tuple[Argument, ...]) -> int:
    return sum(len(arg) if isinstance(arg, str | bytes) else 16 for arg in args) + 64


def _now() -> float:
    return asyncio.get_running_loop().time()
