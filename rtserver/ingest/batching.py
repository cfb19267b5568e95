"""Notification batching: concurrent requests are saved in one transaction, each with its idempotency key.

1. The requests of a transaction are no more than one statement inserts: when the database rejects one of them, none is
   saved, and the others are tried again without it.
2. An error after the commit concerns all of them, and none is repeated: it may have no key.
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
"""Users of a request that is joined with others; a larger one has a transaction of its own."""
GROUP = LARGEST // SMALL
"""Requests in one transaction."""

log = structlog.get_logger("rtserver.doors")


class NotificationBatcher:
    """A `Notifier` that joins requests, between `start` and `stop`."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._writer: GroupWriter[NotificationBatch, Outcome] = GroupWriter(self._write, batch_limit=GROUP)

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """Return one notification per draft, in order. Many drafts are saved in several transactions."""
        if len(drafts) > SMALL:
            return await self._notifier.notify(drafts)
        return cast("list[Delivered]", await self.notify_keyed(NotificationBatch(drafts)))

    async def notify_keyed(self, batch: NotificationBatch) -> list[Delivered] | KnownKey:
        """Return one notification per draft, or the known key with its answer; raises an `EventError`."""
        if len(batch.drafts) > SMALL:
            [outcome] = await self._notifier.notify_batches([batch])
        else:
            outcome = await self._writer.submit(batch)
        if isinstance(outcome, EventError):
            raise outcome
        return outcome

    async def _write(self, batches: Sequence[NotificationBatch]) -> Sequence[Outcome]:
        try:
            return await self._notifier.notify_batches(list(batches))
        except EventError:
            raise
        except Exception:
            log.exception("notifying_failed", asked=len(batches))
            return [Internal() for _ in batches]
