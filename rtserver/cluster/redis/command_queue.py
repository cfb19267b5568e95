"""Command queue: pipelined commands to Redis over one connection, in order, from a bounded queue.

Pipelining. Redis answers the commands of a connection in order, so a client need not wait for one reply before it
writes the next command: the n-th reply belongs to the n-th command. That makes one connection fast enough for a whole
server, and keeps the order of publishes, which a pool of connections would not. A round trip then costs latency, not
throughput. What costs throughput is system calls; so commands that are queued in one iteration of the event loop are
joined into one write, and while nothing is in flight a command is written at once, without the detour.

Three places hold commands: the queue (not written), the window of in-flight commands (`inflight`: written, no reply
yet), and the kernel. When Redis slows down, the window fills first; then the queue. The queue must be bounded, or a
Redis that hangs for a minute would take the memory of the server; live events that are late are worthless anyway, so
the oldest are dropped. The window is small because its content is lost with the connection.

Rules:
1. Adding a command never waits. The queue is bounded in bytes and in number; when it is full, the oldest commands are
   dropped. A command larger than the whole queue is rejected.
2. A command without an answer (PUBLISH) may wait out a short interruption, up to `max_age` seconds. It is held until
   `peers_heard` says that the peers have subscribed again: Redis keeps nothing for those that have not. A command with
   an answer fails at once while there is no connection, and overtakes the held ones when there is one.
3. A command is written at most once. When the connection breaks, in-flight commands are lost, since Redis may have
   executed them.
4. A reply must come within `timeout` seconds, longer behind many bytes; otherwise the connection counts as dead.
5. A Redis that reports that it is the wrong one (read-only, moved) is disconnected, and the right one looked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import chain
from typing import Any

import structlog
from redis.asyncio import Connection
from redis.exceptions import MovedError, ReadOnlyError, ResponseError

from rtserver.cluster.redis.connection import FAILURES, Connect, Demoted, closed, new_backoff, opened, sever
from rtserver.cluster.redis.inflight import Argument, Command, InFlightCommands
from rtserver.cluster.redis.resp_protocol import RespProtocol, pack
from rtserver.reconnect import reconnect
from rtserver.tasks import cancelled

log = structlog.get_logger("rtserver.redis")

OVERHEAD = 64
"""Bytes of memory that a queued command takes beside its data."""


async def _always() -> bool:
    return True


class CommandQueue:
    """Times are in seconds.

    `on_drop(n)`: n commands without an answer were lost. `on_change(error)`: connected (None), or no longer, with the
    reason. `on_error_reply(error, name)`: Redis rejected a command of this name. `peers_heard()` waits a bounded time
    for the peers and returns whether they are back; `on_unheard(n)`: n commands are sent although some are not.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        on_drop: Callable[[int], None],
        on_change: Callable[[BaseException | None], None],
        on_error_reply: Callable[[ResponseError, str], None],
        peers_heard: Callable[[], Awaitable[bool]] = _always,
        on_unheard: Callable[[int], None] = lambda count: None,
        timeout: float = 1.0,
        max_bytes: int = 8 * 1024 * 1024,
        max_commands: int = 10_000,
        max_age: float = 5.0,
    ) -> None:
        self._connect = connect
        self._on_drop, self._on_change, self._on_error_reply = on_drop, on_change, on_error_reply
        self._peers_heard, self._on_unheard = peers_heard, on_unheard
        self._max_age = max_age
        self._max_bytes, self._max_commands = max_bytes, max_commands
        self._queue: deque[Command] = deque()
        self._held: deque[Command] = deque()
        """Commands without an answer, while there is no connection, or while the peers are not back."""
        self._holding = True
        self._bytes = 0
        """Of the queue and of what is held."""
        self._in_flight = InFlightCommands(timeout, self._on_timeout)
        self._protocol: RespProtocol | None = None
        self._write_scheduled = False
        self._flushed: asyncio.Event | None = None
        self._connection: Connection | None = None
        self._backoff = new_backoff()
        self.connected = False

    def add(self, *args: Argument) -> None:
        """Queue a command whose reply is ignored."""
        command = _command(args, None)
        if self._holding:
            self._hold(command)
        else:
            self._append(command)

    def call(self, *args: Argument) -> asyncio.Future[Any]:
        """Queue a command and return the future of its reply; `Unavailable` where it is lost or rejected."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        command = _command(args, answer)
        if self.connected:
            self._append(command)
        else:
            command.fail(None)
        return answer

    async def flush(self, timeout: float) -> None:
        """Wait until every command is written and answered, at most `timeout` seconds."""
        self._flushed = self._flushed or asyncio.Event()
        self._flushed.clear()
        self._check_flushed()
        try:
            async with asyncio.timeout(timeout):
                await self._flushed.wait()
        except TimeoutError:
            return

    def _check_flushed(self) -> None:
        if self._flushed is not None and not self._queue and not self._held and not self._in_flight:
            self._flushed.set()

    def drop_connection(self, error: BaseException) -> None:
        """Close the connection for this reason; `run` opens a new one."""
        if self.connected and self._connection is not None:
            self.connected = False
            self._on_change(error)
            sever(self._connection)

    async def run(self) -> None:
        """Connect, write, and reconnect after a failure; ends only by cancellation."""
        try:
            await reconnect(self._one_connection, self._connection_failed, self._backoff)
        finally:
            self._disconnected(None)
            self._drop(len(self._held))

    async def _one_connection(self) -> None:
        connection = releasing = None
        try:
            self._connection = connection = await opened(self._connect)
            self._protocol = RespProtocol(connection, self._on_reply, self._write)
            self._backoff.connected()
            self.connected = True
            self._expire()
            self._on_change(None)
            releasing = asyncio.create_task(self._release(), name="redis-release")
            await self._protocol.lost
            raise AssertionError("a lost connection has an error")
        finally:
            self.connected = False
            self._connection = self._protocol = None
            self._lose_in_flight()
            await cancelled(releasing)
            if connection is not None:
                await closed(connection)

    async def _release(self) -> None:
        """Send what is held, once the peers are back."""
        if not await self._peers_heard() and self._held:
            self._on_unheard(len(self._held))
        self._holding = False
        self._held.extend(self._queue)
        self._queue, self._held = self._held, deque()
        self._write()

    def _hold(self, command: Command) -> None:
        if command.size > self._max_bytes:
            self._on_drop(1)
            return
        self._held.append(command)
        self._bytes += command.size
        self._bound()
        self._expire()

    def _bound(self) -> None:
        while self._bytes > self._max_bytes or len(self._queue) + len(self._held) > self._max_commands:
            self._drop(1)

    def _connection_failed(self, error: Exception) -> None:
        if not isinstance(error, FAILURES):
            log.exception("redis_writer_failed")
        self._disconnected(error)

    def _lose_in_flight(self) -> None:
        lost = sum(command.fail(None) for command in self._in_flight.clear())
        if lost:
            self._on_drop(lost)

    def _on_timeout(self) -> None:
        if self._protocol is not None:
            self._protocol.fail(TimeoutError("Redis does not answer"))

    def _writable(self) -> bool:
        return self.connected and self._protocol is not None and not self._protocol.congested

    def _write(self) -> None:
        """Write what is queued, as far as the window has room."""
        self._write_scheduled = False
        if not self._writable():
            return
        self._expire()
        new = self._in_flight.fill(self._queue, _now())
        if new:
            self._bytes -= sum([command.size for command in new])
            self._protocol.write(b"".join([command.data for command in new]))  # type: ignore[union-attr]  # see `_writable`
        else:
            self._check_flushed()

    def _on_reply(self, reply: Any) -> None:
        if isinstance(reply, Exception):
            self._on_error(reply)
        else:
            command = self._in_flight.pop()
            if command.answer is not None and not command.answer.done():
                command.answer.set_result(reply)
        if self._queue:
            self._write_soon()
        else:
            self._check_flushed()

    def _on_error(self, error: Exception) -> None:
        if isinstance(error, ReadOnlyError | MovedError):
            self._on_error_reply(error, "")
            raise Demoted from error
        if not isinstance(error, ResponseError):
            raise error
        command = self._in_flight.pop()
        self._on_error_reply(error, command.name)
        if command.fail(error):
            self._on_drop(1)

    def _write_soon(self) -> None:
        """Write in the next iteration of the event loop, with all that is queued until then."""
        if not self._write_scheduled:
            self._write_scheduled = True
            asyncio.get_running_loop().call_soon(self._write)

    def _append(self, command: Command) -> None:
        if command.size > self._max_bytes:  # only this one is lost, not what is queued
            if command.fail(None):
                self._on_drop(1)
            return
        if not (self._queue or self._in_flight) and self._writable():
            self._in_flight.add(command)
            self._protocol.write(command.data)  # type: ignore[union-attr]  # see `_writable`
            return
        self._queue.append(command)
        self._bytes += command.size
        self._bound()
        if self._queue:
            self._write_soon()

    def _expire(self) -> None:
        """Drop commands older than `max_age`: late live events are worse than none."""
        oldest = _now() - self._max_age
        expired = 0
        for command in chain(self._held, self._queue):
            if command.since >= oldest:
                break
            expired += 1
        self._drop(expired)

    def _drop(self, count: int) -> None:
        """Drop the oldest commands."""
        if not count:
            return
        commands = [(self._held or self._queue).popleft() for _ in range(count)]
        self._bytes -= sum(command.size for command in commands)
        lost = sum(command.fail(None) for command in commands)
        if lost:
            self._on_drop(lost)

    def _disconnected(self, error: BaseException | None) -> None:
        """Fail queued commands that have an answer; the others are held for the next connection."""
        self._held.extend([command for command in self._queue if command.fail(error)])
        self._queue.clear()
        self._holding = True
        self._bytes = sum(command.size for command in self._held)
        self._check_flushed()
        if error is not None:
            self._on_change(error)


def _command(args: tuple[Argument, ...], answer: asyncio.Future[Any] | None) -> Command:
    data = pack(args)
    return Command(data, len(data) + OVERHEAD, _now(), answer)


def _now() -> float:
    return asyncio.get_running_loop().time()
