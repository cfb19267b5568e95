"""Commands to Redis: one connection, one queue, in order, many in one write.

Rules:
1. Adding a command never waits. It is written at once when nothing is under way; else it is queued, and what was
   queued in a turn of the event loop leaves as one. The queue is bounded in bytes and number; when it is full the
   oldest go. What is larger than the whole queue may be is never taken.
2. A command that wants no answer (PUBLISH) may wait out a short interruption, up to `max_age`; one that wants
   an answer fails at once while there is no connection.
3. A command is written at most once: when the connection breaks, what was written without an answer is lost,
   since Redis may have carried it out.
4. An answer has `timeout` seconds, more behind much that was written; then the connection counts as dead.
5. A Redis that says that it is the wrong one (read-only, moved) is left, to look for the right one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import structlog
from redis.asyncio import Connection
from redis.exceptions import MovedError, ReadOnlyError, ResponseError

from rtserver.cluster.redis.connection import FAILURES, Backoff, Connect, Demoted, closed, opened, sever
from rtserver.cluster.redis.inflight import Argument, Command, InFlightCommands
from rtserver.cluster.redis.resp_protocol import RespProtocol, pack

log = structlog.get_logger("rtserver.redis")

OVERHEAD = 64
"""What Python takes for a command that waits, beside its bytes."""


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
        self._max_age = max_age
        self._max_bytes, self._max_commands = max_bytes, max_commands
        self._queue: deque[Command] = deque()
        self._bytes = 0
        self._written = InFlightCommands(timeout, self._late)
        self._pipe: RespProtocol | None = None
        self._due = False
        self._flushed: asyncio.Event | None = None
        self._connection: Connection | None = None
        self.connected = False

    def add(self, *args: Argument) -> None:
        self._append(_command(args, None))

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        command = _command(args, answer)
        if self.connected:
            self._append(command)
        else:
            command.fail(None)
        return answer

    async def flush(self, timeout: float) -> None:
        """Wait until everything is written and answered, at most `timeout` seconds."""
        self._flushed = self._flushed or asyncio.Event()
        self._flushed.clear()
        self._tell_flushed()
        try:
            async with asyncio.timeout(timeout):
                await self._flushed.wait()
        except TimeoutError:
            return

    def _tell_flushed(self) -> None:
        if self._flushed is not None and not self._queue and not self._written:
            self._flushed.set()

    def leave(self, error: BaseException) -> None:
        """Give this connection up and make a new one."""
        if self.connected and self._connection is not None:
            self.connected = False
            self._on_change(error)
            sever(self._connection)

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
            self._pipe = RespProtocol(connection, self._answered, self._write)
            backoff.connected()
            self.connected = True
            self._on_change(None)
            self._write()
            await self._pipe.lost
            raise AssertionError("it ends with an error")
        except FAILURES as error:
            return error
        except Exception as error:
            log.exception("redis_writer_failed")
            return error
        finally:
            self.connected = False
            self._connection = self._pipe = None
            self._lose_written()
            if connection is not None:
                await closed(connection)

    def _lose_written(self) -> None:
        lost = sum(command.fail(None) for command in self._written.empty())
        if lost:
            self._on_drop(lost)

    def _late(self) -> None:
        if self._pipe is not None:
            self._pipe.fail(TimeoutError("Redis does not answer"))

    def _writable(self) -> bool:
        return self.connected and self._pipe is not None and not self._pipe.congested

    def _write(self) -> None:
        """Write what is queued, as far as the window is open."""
        self._due = False
        if not self._writable():
            return
        self._expire()
        new = self._written.fill(self._queue, _now())
        if new:
            self._bytes -= sum([command.size for command in new])
            self._pipe.write(b"".join([command.data for command in new]))  # type: ignore[union-attr]  # as above
        else:
            self._tell_flushed()

    def _answered(self, answer: Any) -> None:
        if isinstance(answer, Exception):
            self._refused(answer)
        else:
            command = self._written.take()
            if command.answer is not None and not command.answer.done():
                command.answer.set_result(answer)
        if self._queue:
            self._soon()
        else:
            self._tell_flushed()

    def _refused(self, error: Exception) -> None:
        if isinstance(error, ReadOnlyError | MovedError):
            self._on_refusal(error)
            raise Demoted from error
        if not isinstance(error, ResponseError):
            raise error
        self._on_refusal(error)
        if self._written.take().fail(error):
            self._on_drop(1)

    def _soon(self) -> None:
        """Write at the end of this turn, with all that comes until then."""
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._write)

    def _append(self, command: Command) -> None:
        if command.size > self._max_bytes:  # it alone is lost, not what is queued
            if command.fail(None):
                self._on_drop(1)
            return
        if not (self._queue or self._written) and self._writable():
            self._written.add(command)
            self._pipe.write(command.data)  # type: ignore[union-attr]  # it is there when it is writable
            return
        self._queue.append(command)
        self._bytes += command.size
        while self._bytes > self._max_bytes or len(self._queue) > self._max_commands:
            self._drop(1)
        if not self.connected:
            self._expire()
        if self._queue:
            self._soon()

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
        self._tell_flushed()
        if error is not None:
            self._on_change(error)


def _command(args: tuple[Argument, ...], answer: asyncio.Future[Any] | None) -> Command:
    data = pack(args)
    return Command(data, len(data) + OVERHEAD, _now(), answer)


def _now() -> float:
    return asyncio.get_running_loop().time()
