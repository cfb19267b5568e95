"""Retention: removes messages that are older than the room's limit, or beyond its count.

1. Only the oldest messages are removed, in order and in batches, under the row lock of the room. So the rest has no
   gaps, and `rooms.first_seq` is its beginning. A batch is small, also in bytes: writers wait for its transaction.
2. One server at a time removes messages; the others find the advisory lock taken and skip.
3. `sent_at` decides. After the clock was set back, a message may stay until its predecessor expires.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.schema import KEPT, messages, reactions, rooms

BATCH = 500
"""Messages removed in one transaction."""
BATCH_TEXT = 100_000
"""Characters in their texts: removing them from the full-text index takes as long as saving them did."""
PAGE = 200
"""Rooms read with one query."""
_LOCK = 7_273_657_278  # any number of our own, the same in every server

Row = TypeVar("Row")


def within_text(rows: Iterable[tuple[Row, int]], limit: int) -> list[Row]:
    """The first of `rows`, given with the length of their texts, whose texts have `limit` characters; at least one."""
    chosen: list[Row] = []
    for row, length in rows:
        limit -= length
        if chosen and limit < 0:
            break
        chosen.append(row)
    return chosen


class Retention:
    """Removes expired messages, one batch for each call of `sweep`. `clock`: milliseconds."""

    def __init__(self, db: Database, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._clock = clock
        self._after = ""

    async def sweep(self) -> int:
        """Remove up to `BATCH` messages of one room and return how many; 0 after the last room or without the lock."""
        while True:
            due = await self._due()
            for room in due:
                removed, more = await self._trim(room)
                if not more:
                    self._after = room
                if removed:
                    return removed
            if len(due) < PAGE:
                self._after = ""
                return 0

    async def _due(self) -> list[str]:
        """The next rooms with a retention limit."""
        later = sa.select(rooms.c.room).where(KEPT, rooms.c.room > self._after)
        async with self._db.reading() as connection:
            return list((await connection.execute(later.order_by(rooms.c.room).limit(PAGE))).scalars())

    async def _trim(self, room: str) -> tuple[int, bool]:
        """Remove a batch; returns how many, and whether the room may have more."""
        async with self._db.reading() as connection:
            if await self._last_to_go(connection, room, lock=False) is None:
                return 0, False  # the usual case needs no lock
        async with self._db.transaction() as connection:
            if not await _try_lock(connection):
                return 0, False
            batch = await self._last_to_go(connection, room, lock=True)
            if batch is None:
                return 0, False
            last, more = batch
            await connection.execute(sa.delete(reactions).where(reactions.c.room == room, reactions.c.seq <= last))
            going = sa.delete(messages).where(messages.c.room == room, messages.c.seq <= last)
            removed = (await connection.execute(going)).rowcount
            await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(first_seq=last + 1))
        return removed, more

    async def _last_to_go(self, connection: AsyncConnection, room: str, *, lock: bool) -> tuple[int, bool] | None:
        """The number of the last message of this batch, and whether more may follow; None where none has expired."""
        limits = sa.select(rooms.c.first_seq, rooms.c.last_seq, rooms.c.keep_seconds, rooms.c.keep_count)
        limits = limits.where(rooms.c.room == room)
        row = (await connection.execute(limits.with_for_update(key_share=True) if lock else limits)).first()
        if row is None:
            return None
        kept_from = row.last_seq - row.keep_count + 1 if row.keep_count is not None else row.first_seq
        kept_since = self._clock() - row.keep_seconds * 1000 if row.keep_seconds is not None else None
        oldest = sa.select(messages.c.seq, messages.c.sent_at, sa.func.length(messages.c.text))
        oldest = oldest.where(messages.c.room == room, messages.c.seq >= row.first_seq).order_by(messages.c.seq)
        expired: list[tuple[int, int]] = []
        for seq, sent_at, length in await connection.execute(oldest.limit(BATCH if lock else 1)):
            if seq >= kept_from and (kept_since is None or sent_at >= kept_since):
                break
            expired.append((seq, length))
        going = within_text(expired, BATCH_TEXT)
        return (going[-1], len(going) == BATCH or len(going) < len(expired)) if going else None


async def _try_lock(connection: AsyncConnection) -> bool:
    """Whether this server may sweep; the lock lasts until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return True  # the transaction already holds the write lock
    return bool((await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK)))).scalar_one())
