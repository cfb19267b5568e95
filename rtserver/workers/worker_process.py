"""One worker as the supervisor sees it: a process, and the line to it."""

from __future__ import annotations

import asyncio
import signal
import socket
import time
from contextlib import suppress

from rtserver.workers.control_channel import HURRY, LISTENING, READY, STOP, TAKE, YIELD, YIELDED, ControlChannel
from rtserver.workers.worker_args import WorkerArgs


class WorkerProcess:
    """The events are set when it is so, and all of them when it has ended, as nothing more will come."""

    def __init__(self, assignment: WorkerArgs, process: asyncio.subprocess.Process, end: socket.socket) -> None:
        self.name = assignment.instance
        self.pid = process.pid
        self.code: int | None = None
        self.listening = asyncio.Event()
        self.ready = asyncio.Event()
        self.yielded = asyncio.Event()
        self.ended = asyncio.Event()
        self.seconds = 0.0
        """How long it lived."""
        self._began = time.monotonic()
        self._process = process
        self._line = ControlChannel(end, self._heard)
        self._waiting = asyncio.create_task(self._wait())

    @property
    def alive(self) -> bool:
        return not self.ended.is_set()

    @property
    def works(self) -> bool:
        return self.alive and self.listening.is_set()

    def yield_new(self) -> None:
        """`yielded` is set once it leaves new sessions to the others."""
        self._line.say(YIELD)

    def take_new(self) -> None:
        if self.alive:
            self.yielded.clear()
        self._line.say(TAKE)

    def stop(self) -> None:
        self._line.say(STOP)

    def hurry(self) -> None:
        self._line.say(HURRY)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()

    def ending(self) -> str:
        """How it ended, for people."""
        if self.code is not None and self.code < 0:
            return signal.Signals(-self.code).name
        return f"exit code {self.code}"

    def _heard(self, word: bytes) -> None:
        if word == LISTENING:
            self.listening.set()
        elif word == READY:
            self.ready.set()
        elif word == YIELDED:
            self.yielded.set()

    async def _wait(self) -> None:
        self.code = await self._process.wait()
        self.seconds = time.monotonic() - self._began
        self._line.close()
        for event in (self.ended, self.listening, self.ready, self.yielded):
            event.set()


async def start(assignment: WorkerArgs, line: tuple[socket.socket, socket.socket]) -> WorkerProcess:
    """`line`: the supervisor's end, and the worker's, whose descriptor the assignment holds."""
    ours, theirs = line
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *assignment.command(), pass_fds=(*assignment.listen, theirs.fileno()), stdin=asyncio.subprocess.DEVNULL
        )
    return WorkerProcess(assignment, process, ours)


async def within(event: asyncio.Event, seconds: float) -> bool:
    """Whether it is set in time."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
