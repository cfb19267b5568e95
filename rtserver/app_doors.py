"""The part of the composition that serves backends: what they may ask for, and the doors that are not HTTP."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

from rtserver.doors.intake import Intake, checked
from rtserver.doors.ports import Emitting, Notifying, Posting
from rtserver.doors.scheduler import Scheduler
from rtserver.metrics import Metrics
from rtserver.store.audience import Audience
from rtserver.store.database import Database
from rtserver.store.requests import Requests
from rtserver.store.schedule import Schedule


class Doors:
    """`intake` is what every door ends in; `schedule` is what waits for its time."""

    def __init__(
        self,
        database: Database,
        metrics: Metrics,
        *,
        instance: str,
        notifying: Notifying,
        posting: Posting,
        emitting: Emitting,
    ) -> None:
        self.schedule = Schedule(database)
        self._requests = Requests(database)
        self.intake = Intake(
            notifying=notifying,
            posting=posting,
            emitting=emitting,
            audience=Audience(database),
            requests=self._requests,
            schedule=self.schedule,
        )
        owner = f"{instance}:{secrets.token_hex(4)}"
        self._scheduler = Scheduler(
            self.schedule, self._carry_out, metrics, owner=owner, clean=self._requests.forget_old
        )
        self.intake.on_scheduled = self._scheduler.nudge

    async def run(self, _: Any) -> AsyncIterator[None]:
        """Begins after the database and the cluster, ends before them."""
        await self._requests.start()
        await self._scheduler.start()
        yield
        await self._scheduler.stop()
        await self._requests.stop()

    async def _carry_out(self, kind: str, body: Any, origin: str) -> None:
        await self.intake.carry_out(checked(kind, body), origin=origin)
