"""Notifications that are asked for at the same time are saved in one transaction.

1. A group is no larger than what is saved at once: when one of it is refused, the others are not saved either, and
   are tried without it.
2. A fault after that, when they are saved, is everybody's, and nobody's is tried again: perhaps they have no keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import structlog

from rtserver.doors.ports import Notifying
from rtserver.errors import EventError, Internal
from rtserver.store.notification_records import Delivered, NotificationDraft
from rtserver.store.writer import GroupWriter

SMALL = 5
"""Users of one request that may wait for others; larger ones are a group by themselves."""
GROUP = 100

_Told = list[Delivered] | Internal

log = structlog.get_logger("rtserver.doors")


class GroupedNotifying:
    """As `notifying`, between `start` and `stop`."""

    def __init__(self, notifying: Notifying) -> None:
        self._notifying = notifying
        self._writer: GroupWriter[list[NotificationDraft], _Told] = GroupWriter(self._write, batch_limit=GROUP)

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        if len(drafts) > SMALL:
            return await self._notifying.notify(drafts)
        told = await self._writer.submit(drafts)
        if isinstance(told, Internal):
            raise told
        return told

    async def _write(self, asked: Sequence[list[NotificationDraft]]) -> Sequence[_Told]:
        try:
            told = iter(await self._notifying.notify([draft for drafts in asked for draft in drafts]))
        except EventError:
            raise
        except Exception:
            log.exception("notifying_failed", asked=len(asked))
            return [Internal() for _ in asked]
        return [list(islice(told, len(drafts))) for drafts in asked]
