"""Worker processes as the supervisor sees them: one `WorkerProcess` with its control channel, in one `Slot`."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from rtserver.workers.control_channel import HURRY, LISTENING, READY, STOP, TAKE, YIELD, YIELDED, ControlChannel
from rtserver.workers.worker_args import WorkerArgs


class WorkerProcess:
    """A running worker. Each event is set once its condition holds; all are set when the process has ended."""

    def __init__(self, args: WorkerArgs, process: asyncio.subprocess.Process, end: socket.socket) -> None:
        """`end` is the supervisor's end of the control channel."""
        self.name = args.instance
        self.pid = process.pid
        self.code: int | None = None
        self.listening = asyncio.Event()
        self.ready = asyncio.Event()
        self.yielded = asyncio.Event()
        self.ended = asyncio.Event()
        self.lifetime = 0.0
        """Seconds from its start to its end; 0 while it runs."""
        self._started = time.monotonic()
        self._process = process
        self._channel = ControlChannel(end, self._on_message)
        self._waiting = asyncio.create_task(self._wait())

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    @property
    def works(self) -> bool:
        """Whether it runs and accepts connections."""
        return self.alive and self.listening.is_set()

    def yield_new(self) -> None:
        """Leave new sessions to the other workers; `yielded` is set once it does."""
        self._channel.send(YIELD)

    def accept_new(self) -> None:
        """Open new sessions again."""
        if self.alive:
            self.yielded.clear()
        self._channel.send(TAKE)

    def stop(self) -> None:
        """Ask it to leave, as SIGTERM does."""
        self._channel.send(STOP)

    def hurry(self) -> None:
        """Ask it to leave without delay, as a second SIGTERM does."""
        self._channel.send(HURRY)

    def kill(self) -> None:
        """Send SIGKILL, if it still runs."""
        with suppress(ProcessLookupError):
            self._process.kill()

    def exit_reason(self) -> str:
        """Return the name of the signal or the exit code that it ended with, for log lines."""
        if self.code is not None and self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit code {self.code}"

    def _on_message(self, message: bytes) -> None:
        if message == LISTENING:
            self.listening.set()
        elif message == READY:
            self.ready.set()
        elif message == YIELDED:
            self.yielded.set()

    async def _wait(self) -> None:
        self.code = await self._process.wait()
        self.lifetime = time.monotonic() - self._started
        self._channel.close()
        for event in (self.ended, self.listening, self.ready, self.yielded):
            event.set()


@dataclass(slots=True)
class Slot:
    """A position in the fleet: the worker that holds it, and how often in a row its workers failed early."""

    worker: WorkerProcess
    failures: int = 0
    reported: bool = False
    """Whether the current series of failures was logged."""


async def start(args: WorkerArgs, channel: tuple[socket.socket, socket.socket]) -> WorkerProcess:
    """Start a worker. `channel`: the supervisor's end and the worker's end, whose descriptor `args` holds."""
    ours, theirs = channel
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *args.command(), pass_fds=(*args.listen, theirs.fileno()), stdin=asyncio.subprocess.DEVNULL
        )
    return WorkerProcess(args, process, ours)


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for `event`, at most `seconds`; return whether it was set in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
