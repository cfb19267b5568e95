"""The process above the workers: starts them, puts new ones in the place of dead ones, rolls them, stops them.

1. The first worker starts alone. If it ends before it listens, so does the supervisor, with its exit code: what is
   wrong with the settings is said once, by it.
2. A worker that dies is replaced at once, and with a growing pause (at most `LONGEST` seconds) while its successors do
   not last; each run of deaths is said once, and so is its end. When no worker is left and every place has failed
   `GIVE_UP` times in a row, the supervisor ends with 1.
3. SIGHUP: one worker after another is replaced, see `rtserver.workers.rolling_restart`.
4. SIGTERM or SIGINT: all workers leave, as a single server does. A second one hurries them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog

from rtserver.config.settings import Settings
from rtserver.ids import new_instance_id
from rtserver.process.systemd import inherited_sockets, notify
from rtserver.workers.listeners import listen
from rtserver.workers.rolling_restart import RollingRestart
from rtserver.workers.worker_args import WorkerArgs
from rtserver.workers.worker_process import WorkerProcess, start, within

log = structlog.get_logger("rtserver.workers")

STEADY: Final = 10.0
"""Seconds after which a worker is taken to last."""
PAUSE: Final = 0.5
LONGEST: Final = 30.0
GIVE_UP: Final = 5
STUCK_SECONDS: Final = 20.0
"""Beyond the time that a worker is given to leave, after which it is killed."""
LONGEST_FOLDER: Final = 60
"""The path of a Unix socket may have about 100 characters."""


@dataclass(slots=True)
class Slot:
    """One of the N workers, how often in a row it did not last, and whether that was said."""

    child: WorkerProcess
    failures: int = 0
    said: bool = False


class Supervisor:
    def __init__(
        self, settings: Settings, flags: Mapping[str, Any], sockets: list[socket.socket], folder: Path
    ) -> None:
        self._settings = settings
        self._flags = dict(flags)
        self._sockets = sockets
        self._folder = folder
        self.slots: list[Slot] = []
        self._stop = asyncio.Event()
        self._code = 0
        self._everybody: set[WorkerProcess] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._rolling = RollingRestart(self)

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked_to_roll)
        first = await self.new(welcome=True)
        await first.listening.wait()
        if first.alive and not self.stopping:
            others = await asyncio.gather(*(self.new() for _ in range(self._settings.workers - 1)))
            self.slots = [Slot(child) for child in (first, *others)]
            for slot in self.slots:
                self._watch(slot)
            log.info("supervising", workers=len(self.slots), pid=os.getpid())
            notify("READY=1")
            await self._stop.wait()
        elif not self.stopping:
            self._code = first.code or 1
        notify("STOPPING=1")
        await self._end()
        return self._code

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    # Workers.

    async def new(self, welcome: bool = False) -> WorkerProcess:
        line = socket.socketpair()
        name = (self._settings.instance or "")[:10] + new_instance_id()
        listening = tuple(each.fileno() for each in self._sockets)
        child = await start(
            WorkerArgs(name, listening, line[1].fileno(), str(self._folder), welcome, self._flags), line
        )
        self._everybody.add(child)
        return child

    def _watch(self, slot: Slot) -> None:
        self._spawn(self._replace_when_dead(slot, slot.child))

    async def _replace_when_dead(self, slot: Slot, child: WorkerProcess) -> None:
        await child.ended.wait()
        self.forget(child)
        if slot.child is not child or self.stopping:
            return
        lasted = child.seconds >= STEADY
        slot.failures = 0 if lasted else slot.failures + 1
        pause = backoff(slot.failures)
        said, slot.said = slot.said and not lasted, True
        if not said:
            log.warning("worker_died", worker=child.name, pid=child.pid, ended=child.ending(), pause=pause)
        if self._hopeless():
            log.error("no_worker_lasts", ended=child.ending())
            self._code = 1
            self._stop.set()
            return
        await asyncio.sleep(pause)
        if slot.child is child and not self.stopping:
            new = await self.new()
            if slot.child is not child:  # A roll was quicker.
                await self.discard(new)
                return
            slot.child = new
            self._watch(slot)
            await slot.child.listening.wait()
            if slot.child.works:
                log.info("worker_back", worker=slot.child.name, pid=slot.child.pid, failures=slot.failures)

    def _hopeless(self) -> bool:
        return not any(slot.child.alive for slot in self.slots) and all(slot.failures >= GIVE_UP for slot in self.slots)

    def forget(self, child: WorkerProcess) -> None:
        """What a worker that was killed left behind."""
        self._everybody.discard(child)
        for name in (child.name, child.name + ".new"):
            (self._folder / name).unlink(missing_ok=True)

    async def discard(self, child: WorkerProcess) -> None:
        child.kill()
        await child.ended.wait()
        self.forget(child)

    def place(self, slot: Slot, child: WorkerProcess) -> None:
        """Put a worker that is ready into the place of another."""
        slot.child, slot.failures, slot.said = child, 0, False
        self._watch(slot)

    # Signals, and the end.

    def _asked_to_roll(self) -> None:
        if self.slots and self._rolling.ask():
            self._spawn(self._rolling.run())

    def _asked_to_stop(self) -> None:
        if self.stopping:
            for child in self._everybody:
                child.hurry()
        else:
            log.info("stopping_workers")
            self._stop.set()

    async def _end(self) -> None:
        for child in self._everybody:
            child.stop()
        while self._everybody:
            child = next(iter(self._everybody))
            child.stop()  # Once more: it may just have been started.
            await self.gone(child)
            self.forget(child)

    async def gone(self, child: WorkerProcess) -> None:
        """Wait for a worker that was told to leave, and kill it when it does not."""
        patience = self._settings.drain_delay + self._settings.drain_seconds + STUCK_SECONDS
        if not await within(child.ended, patience):
            log.error("worker_stuck", worker=child.name, pid=child.pid)
            child.kill()
            await child.ended.wait()

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def backoff(failures: int) -> float:
    """Seconds before a place is filled again, after so many in a row that did not last."""
    return 0.0 if failures <= 1 else min(LONGEST, PAUSE * 2.0 ** (failures - 2))


def supervise(settings: Settings, flags: Mapping[str, Any]) -> int:
    """Serve with `settings.workers` workers until SIGTERM or SIGINT; the exit code."""
    for warning in settings.warnings():
        log.warning("settings", warning=warning)
    sockets = inherited_sockets() or listen(settings.host, settings.port)
    with _folder() as folder:
        return asyncio.run(_run(settings, flags, sockets, folder))


@contextmanager
def _folder() -> Iterator[Path]:
    """Where the workers' Unix sockets lie. It is locked, so that what cleans up old files leaves it alone.

    Source: systemd-tmpfiles(8), "directories and their contents are skipped while a BSD lock is held on them".
    """
    temporary = tempfile.gettempdir()
    folder = Path(tempfile.mkdtemp(prefix="rtserver-", dir=temporary if len(temporary) < LONGEST_FOLDER else "/tmp"))  # noqa: S108
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(lock)
        shutil.rmtree(folder, ignore_errors=True)


async def _run(settings: Settings, flags: Mapping[str, Any], sockets: list[socket.socket], folder: Path) -> int:
    return await Supervisor(settings, flags, sockets, folder).run()
