"""Notifications that are asked for at the same time are saved in one transaction, with the keys that they came under.

1. A group is no larger than what is saved at once: when one of it is refused by the database, the others are not saved
   either, and are tried without it.
2. A fault after that, when they are saved, is everybody's, and nobody's is tried again: perhaps they have no keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import structlog

from rtserver.errors import EventError, Internal
from rtserver.ingest.interfaces import Notifier
from rtserver.store.db.group_commit import GroupWriter
from rtserver.store.ingest.idempotency import KnownKey
from rtserver.store.notifications.batches import LARGEST, NotificationBatch, Outcome
from rtserver.store.notifications.records import Delivered, NotificationDraft

SMALL = 5
"""Users of one order that may wait for others; larger ones are a group by themselves."""
GROUP = LARGEST // SMALL

log = structlog.get_logger("rtserver.doors")


class NotificationBatcher:
    """As `notifying`, between `start` and `stop`."""

    def __init__(self, notifying: Notifier) -> None:
        self._notifying = notifying
        self._writer: GroupWriter[NotificationBatch, Outcome] = GroupWriter(self._write, batch_limit=GROUP)

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """One each, in order; many of them in several transactions."""
        if len(drafts) > SMALL:
            return await self._notifying.notify(drafts)
        return cast("list[Delivered]", await self.notify_keyed(NotificationBatch(drafts)))

    async def notify_keyed(self, order: NotificationBatch) -> list[Delivered] | KnownKey:
        """One each, or what the key was answered before; raises an `EventError`."""
        if len(order.drafts) > SMALL:
            [outcome] = await self._notifying.notify_batches([order])
        else:
            outcome = await self._writer.submit(order)
        if isinstance(outcome, EventError):
            raise outcome
        return outcome

    async def _write(self, orders: Sequence[NotificationBatch]) -> Sequence[Outcome]:
        try:
            return await self._notifying.notify_batches(list(orders))
        except EventError:
            raise
        except Exception:
            log.exception("notifying_failed", asked=len(orders))
            return [Internal() for _ in orders]
