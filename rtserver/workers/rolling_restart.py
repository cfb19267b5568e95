"""Rolling restart (SIGHUP): workers are replaced one after another, and each client reconnects only once.

1. A new worker starts. Once it is ready, only new workers accept new sessions until the restart ends. The clients of
   the old worker, which leaves now, therefore do not reach a worker that is still to be replaced. Among the new ones
   they go to those with the fewest sessions (`rtserver.workers.shared_load`), however late they come.
2. The old worker leaves after the others have confirmed that they yield, so that none of its clients is faster.
3. A new worker that is not ready within `READY_SECONDS` ends the restart; the remaining old workers stay.
4. A request during a restart starts another one after it. A worker that replaced a dead one meanwhile counts as new.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence, Set
from typing import Final, Protocol

import structlog

from rtserver.workers.worker_process import Slot, WorkerProcess, within

log = structlog.get_logger("rtserver.workers")

READY_SECONDS: Final = 60.0
YIELD_SECONDS: Final = 5.0
"""For the others to confirm that they yield; a worker that hangs opens no sessions either."""


class Fleet(Protocol):
    """The workers of one supervisor."""

    @property
    def slots(self) -> Sequence[Slot]: ...

    @property
    def stopping(self) -> bool:
        """Whether all workers are about to leave."""
        ...

    async def start_worker(self) -> WorkerProcess:
        """Start one more worker, which has no slot yet."""
        ...

    def fill(self, slot: Slot, worker: WorkerProcess) -> None:
        """Put a ready worker into the slot of another."""
        ...

    async def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker that has no slot, and wait until it has ended."""
        ...

    async def wait_until_gone(self, worker: WorkerProcess) -> None:
        """Wait for a worker that was asked to leave; kill it when its time is up."""
        ...


class RollingRestart:
    """`request` may be called at any time; `run` replaces every worker that runs when it starts."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._requested = self._running = False

    def request(self) -> bool:
        """Return whether the caller has to call `run`; a restart under way handles this request too."""
        self._requested = True
        running, self._running = self._running, True
        return not running

    async def run(self) -> None:
        """Restart until no request is left."""
        try:
            while self._requested and not self._fleet.stopping:
                self._requested = False
                await self._restart_all()
        finally:
            self._running = False

    async def _restart_all(self) -> None:
        slots = self._fleet.slots
        old = {slot.worker for slot in slots}
        log.info("rolling", workers=len(slots))
        try:
            for slot in slots:
                if slot.worker in old and not await self._replace(slot, old):
                    return
        finally:
            for slot in slots:
                slot.worker.accept_new()
        log.info("rolled")

    async def _replace(self, slot: Slot, leaving: Set[WorkerProcess]) -> bool:
        """`leaving`: the workers that ran when the restart began."""
        if self._fleet.stopping:
            return False
        new = await self._fleet.start_worker()
        if not await within(new.ready, READY_SECONDS) or not new.alive:
            log.error("roll_ended", reason=new.exit_reason() if not new.alive else "the new worker is not ready")
            await self._fleet.discard(new)
            return False
        old = slot.worker
        self._fleet.fill(slot, new)
        await self._keep_from([old, *(slot.worker for slot in self._fleet.slots if slot.worker in leaving)])
        old.stop()
        await self._fleet.wait_until_gone(old)
        return True

    async def _keep_from(self, old: Sequence[WorkerProcess]) -> None:
        """Have new sessions opened by none of these."""
        working = [worker for worker in old if worker.works]
        for worker in working:
            worker.yield_new()
        await asyncio.gather(*(within(worker.yielded, YIELD_SECONDS) for worker in working))
