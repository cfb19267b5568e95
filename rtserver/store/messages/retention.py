"""Removing messages that a room does not keep: those that are too old, and those that are too many.

1. Only the oldest go, in order, a batch at a time under the lock of the room: what is kept has no gaps, and
   `rooms.first_seq` says where it begins.
2. One server at a time; the others find the lock taken and leave it to that one.
3. `sent_at` decides. Where the clock was set back an older message may stay until the one before it may go.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.schema import KEPT, messages, reactions, rooms

BATCH = 500
PAGE = 200
"""Rooms that are looked at in one question."""
_LOCK = 7_273_657_278  # any number of our own, the same in every server


class Retention:
    def __init__(self, db: Database, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._clock = clock
        self._after = ""

    async def sweep(self) -> int:
        """Remove up to a batch of one room; 0 when all rooms were looked at, or another server is at it."""
        while True:
            due = await self._due()
            for room in due:
                removed = await self._trim(room)
                if removed == BATCH:
                    return removed  # there may be more in this one
                self._after = room
                if removed:
                    return removed
            if len(due) < PAGE:
                self._after = ""
                return 0

    async def _due(self) -> list[str]:
        """The next rooms that do not keep everything."""
        later = sa.select(rooms.c.room).where(KEPT, rooms.c.room > self._after)
        async with self._db.reading() as connection:
            return list((await connection.execute(later.order_by(rooms.c.room).limit(PAGE))).scalars())

    async def _trim(self, room: str) -> int:
        async with self._db.reading() as connection:
            if await self._last_to_go(connection, room, lock=False) is None:
                return 0  # mostly: no lock for that
        async with self._db.transaction() as connection:
            if not await _try_lock(connection):
                return 0
            last = await self._last_to_go(connection, room, lock=True)
            if last is None:
                return 0
            await connection.execute(sa.delete(reactions).where(reactions.c.room == room, reactions.c.seq <= last))
            going = sa.delete(messages).where(messages.c.room == room, messages.c.seq <= last)
            removed = (await connection.execute(going)).rowcount
            await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(first_seq=last + 1))
        return removed

    async def _last_to_go(self, connection: AsyncConnection, room: str, *, lock: bool) -> int | None:
        """The number of the last one of this batch."""
        limits = sa.select(rooms.c.first_seq, rooms.c.last_seq, rooms.c.keep_seconds, rooms.c.keep_count)
        limits = limits.where(rooms.c.room == room)
        row = (await connection.execute(limits.with_for_update(key_share=True) if lock else limits)).first()
        if row is None:
            return None
        kept_from = row.last_seq - row.keep_count + 1 if row.keep_count is not None else row.first_seq
        kept_since = self._clock() - row.keep_seconds * 1000 if row.keep_seconds is not None else None
        oldest = sa.select(messages.c.seq, messages.c.sent_at).where(messages.c.room == room)
        oldest = oldest.where(messages.c.seq >= row.first_seq).order_by(messages.c.seq).limit(BATCH if lock else 1)
        last = None
        for seq, sent_at in await connection.execute(oldest):
            if seq >= kept_from and (kept_since is None or sent_at >= kept_since):
                break
            last = seq
        return last


async def _try_lock(connection: AsyncConnection) -> bool:
    if connection.dialect.name == "sqlite":
        return True  # it is the only one that writes
    return bool((await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK)))).scalar_one())
