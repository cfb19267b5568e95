"""SIGHUP: one worker after the other is replaced, and no client is moved more than once.

1. A new worker starts. When it is ready, it alone opens new sessions, until the next one is ready or the roll is over:
   the clients of the old worker, which leaves now, come to none whose turn is still to come, and each new worker gets
   about as many as the old one had.
2. The old worker leaves when the others have said that they yield, so that none of its clients is quicker.
3. A new worker that does not become ready within `READY_SECONDS` ends the roll, and the old ones that are left stay.
4. Who is asked again during a roll rolls once more after it. A worker that took the place of a dead one meanwhile is
   as new as the others.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog

from rtserver.workers.worker_process import WorkerProcess, within

if TYPE_CHECKING:
    from rtserver.workers.supervisor import Slot, Supervisor

log = structlog.get_logger("rtserver.workers")

READY_SECONDS: Final = 60.0
YIELD_SECONDS: Final = 5.0
"""For the others to yield; one that hangs opens no sessions either."""


class RollingRestart:
    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._asked = self._running = False

    def ask(self) -> bool:
        """Whether `run` is to be called for it: the roll that runs takes care of it too."""
        self._asked = True
        running, self._running = self._running, True
        return not running

    async def run(self) -> None:
        try:
            while self._asked and not self._supervisor.stopping:
                self._asked = False
                await self._roll()
        finally:
            self._running = False

    async def _roll(self) -> None:
        slots = self._supervisor.slots
        old = {slot.child for slot in slots}
        log.info("rolling", workers=len(slots))
        try:
            for slot in slots:
                if slot.child in old and not await self._replace(slot):
                    return
        finally:
            for slot in slots:
                slot.child.take_new()
        log.info("rolled")

    async def _replace(self, slot: Slot) -> bool:
        if self._supervisor.stopping:
            return False
        new = await self._supervisor.new()
        if not await within(new.ready, READY_SECONDS) or not new.alive:
            log.error("roll_ended", reason=new.ending() if not new.alive else "the new worker is not ready")
            await self._supervisor.discard(new)
            return False
        old = slot.child
        self._supervisor.place(slot, new)
        await self._yield_to(new, old)
        old.stop()
        await self._supervisor.gone(old)
        return True

    async def _yield_to(self, new: WorkerProcess, old: WorkerProcess) -> None:
        others = [child for child in (old, *(slot.child for slot in self._supervisor.slots)) if child is not new]
        working = [child for child in others if child.works]
        for child in working:
            child.yield_new()
        await asyncio.gather(*(within(child.yielded, YIELD_SECONDS) for child in working))
