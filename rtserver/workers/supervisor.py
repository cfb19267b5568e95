"""Supervisor of the worker processes: starts them, replaces dead ones, restarts them one by one, stops them.

1. The first worker starts alone. If it ends before it listens, the supervisor ends with its exit code: a fault in the
   settings is reported once, by that worker.
2. A worker that dies is replaced at once. While its successors fail early, the pause before each grows, up to `LONGEST`
   seconds. Each series of failures is logged once, and so is its end. When no worker is left and every slot has failed
   `GIVE_UP` times in a row, the supervisor ends with 1.
3. SIGHUP: a rolling restart, see `rtserver.workers.rolling_restart`.
4. SIGTERM or SIGINT: all workers shut down as a single server does. A second signal hurries them.
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
from pathlib import Path
from typing import Any, Final

import structlog

from rtserver.config.settings import Settings
from rtserver.ids import new_instance_id
from rtserver.process.listening import listen
from rtserver.process.systemd import inherited_sockets, notify
from rtserver.tasks import Tasks
from rtserver.workers.rolling_restart import RollingRestart
from rtserver.workers.shared_load import ACCEPTS_NEW, LOAD
from rtserver.workers.worker_args import WorkerArgs
from rtserver.workers.worker_process import Slot, WorkerProcess, start, within

log = structlog.get_logger("rtserver.workers")

STEADY: Final = 10.0
"""Seconds of life after which the end of a worker is no early failure."""
PAUSE: Final = 0.5
LONGEST: Final = 30.0
GIVE_UP: Final = 5
STUCK_SECONDS: Final = 20.0
"""Added to the time that a worker has for its shutdown; after that it is killed."""
LONGEST_FOLDER: Final = 60
"""Characters: the path of a Unix socket may have about 100."""


class Supervisor:
    """One worker for each slot; `folder` is for their Unix sockets, `flags` are those of `rtserver serve`."""

    def __init__(
        self, settings: Settings, flags: Mapping[str, Any], sockets: list[socket.socket], folder: Path
    ) -> None:
        self._settings = settings
        self._flags = dict(flags)
        self._sockets = sockets
        self._folder = folder
        self.slots: list[Slot] = []
        self._stop = asyncio.Event()
        self._exit_code = 0
        self._workers: set[WorkerProcess] = set()
        """All that run, those without a slot included."""
        self._tasks = Tasks()
        self._rolling_restart = RollingRestart(self)

    async def run(self) -> int:
        """Supervise until a signal asks to stop, or no worker can be kept alive; return the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_stop_signal)
        loop.add_signal_handler(signal.SIGHUP, self._on_restart_signal)
        first = await self.start_worker(welcome=True)
        await first.listening.wait()
        if first.alive and not self.stopping:
            others = await asyncio.gather(*(self.start_worker() for _ in range(self._settings.workers - 1)))
            self.slots = [Slot(worker) for worker in (first, *others)]
            for slot in self.slots:
                self._watch(slot)
            log.info("supervising", workers=len(self.slots), pid=os.getpid())
            notify("READY=1")
            await self._stop.wait()
        elif not self.stopping:
            self._exit_code = first.code or 1
        notify("STOPPING=1")
        await self._stop_all()
        return self._exit_code

    @property
    def stopping(self) -> bool:
        """Whether all workers are about to leave."""
        return self._stop.is_set()

    # Workers.

    async def start_worker(self, welcome: bool = False) -> WorkerProcess:
        """Start one more worker, which has no slot yet. `welcome`: whether it prints the welcome text."""
        channel = socket.socketpair()
        name = (self._settings.instance or "")[:10] + new_instance_id()
        listen = tuple(each.fileno() for each in self._sockets)
        args = WorkerArgs(name, listen, channel[1].fileno(), str(self._folder), welcome, self._flags)
        worker = await start(args, channel)
        self._workers.add(worker)
        return worker

    def _watch(self, slot: Slot) -> None:
        self._tasks.spawn(self._replace_when_dead(slot, slot.worker))

    async def _replace_when_dead(self, slot: Slot, worker: WorkerProcess) -> None:
        await worker.ended.wait()
        self._forget(worker)
        if slot.worker is not worker or self.stopping:
            return
        pause = self._count_failure(slot, worker)
        if self._hopeless():
            log.error("no_worker_lasts", ended=worker.exit_reason())
            self._exit_code = 1
            self._stop.set()
            return
        await asyncio.sleep(pause)
        if slot.worker is worker and not self.stopping:
            await self._refill(slot, worker)

    def _count_failure(self, slot: Slot, worker: WorkerProcess) -> float:
        """Log the end of a worker, once for each series of early failures; return the pause before the next one."""
        early = worker.lifetime < STEADY
        slot.failures = slot.failures + 1 if early else 0
        pause = backoff(slot.failures)
        if not (slot.reported and early):
            log.warning("worker_died", worker=worker.name, pid=worker.pid, ended=worker.exit_reason(), pause=pause)
        slot.reported = True
        return pause

    async def _refill(self, slot: Slot, dead: WorkerProcess) -> None:
        new = await self.start_worker()
        if slot.worker is not dead:  # A rolling restart has filled it meanwhile.
            await self.discard(new)
            return
        slot.worker = new
        self._watch(slot)
        await slot.worker.listening.wait()
        if slot.worker.works:
            log.info("worker_back", worker=slot.worker.name, pid=slot.worker.pid, failures=slot.failures)

    def _hopeless(self) -> bool:
        """Whether no worker is left and no slot can be expected to keep one."""
        if any(slot.worker.alive for slot in self.slots):
            return False
        return all(slot.failures >= GIVE_UP for slot in self.slots)

    def _forget(self, worker: WorkerProcess) -> None:
        """Remove the files that a killed worker leaves behind."""
        self._workers.discard(worker)
        for ending in ("", ACCEPTS_NEW, LOAD):
            (self._folder / (worker.name + ending)).unlink(missing_ok=True)

    async def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker that has no slot, and wait until it has ended."""
        worker.kill()
        await worker.ended.wait()
        self._forget(worker)

    def fill(self, slot: Slot, worker: WorkerProcess) -> None:
        """Put a ready worker into the slot of another."""
        slot.worker, slot.failures, slot.reported = worker, 0, False
        self._watch(slot)

    # Signals, and the end.

    def _on_restart_signal(self) -> None:
        if self.slots and self._rolling_restart.request():
            self._tasks.spawn(self._rolling_restart.run())

    def _on_stop_signal(self) -> None:
        if self.stopping:
            for worker in self._workers:
                worker.hurry()
        else:
            log.info("stopping_workers")
            self._stop.set()

    async def _stop_all(self) -> None:
        for worker in self._workers:
            worker.stop()
        while self._workers:
            worker = next(iter(self._workers))
            worker.stop()  # Again: it may have been started a moment ago.
            await self.wait_until_gone(worker)
            self._forget(worker)

    async def wait_until_gone(self, worker: WorkerProcess) -> None:
        """Wait for a worker that was asked to leave; kill it when its time is up."""
        patience = self._settings.drain_delay + self._settings.drain_seconds + STUCK_SECONDS
        if not await within(worker.ended, patience):
            log.error("worker_stuck", worker=worker.name, pid=worker.pid)
            worker.kill()
            await worker.ended.wait()


def backoff(failures: int) -> float:
    """Return the seconds before a slot is filled again, after so many early failures in a row.

    Not `rtserver.backoff`: there is no jitter, as one supervisor is alone on its machine, and the first is at once.
    """
    return 0.0 if failures <= 1 else min(LONGEST, PAUSE * 2.0 ** (failures - 2))


def supervise(settings: Settings, flags: Mapping[str, Any]) -> int:
    """Serve with `settings.workers` workers until SIGTERM or SIGINT; return the exit code.

    Raises `ConfigError` when the port cannot be had.
    """
    for warning in settings.warnings():
        log.warning("settings", warning=warning)
    sockets = inherited_sockets() or listen(settings.host, settings.port)
    with _folder() as folder:
        return asyncio.run(_run(settings, flags, sockets, folder))


@contextmanager
def _folder() -> Iterator[Path]:
    """The folder of the workers' Unix sockets, locked so that no clean-up of old files removes it.

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
