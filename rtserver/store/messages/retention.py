"""Retention: removes messages that are older than the room's limit, or beyond its count.

1. Only the oldest messages are removed, in order and in batches, under the row lock of the room. So the rest has no
   gaps, and `rooms.first_seq` is its beginning. A batch is small, also in bytes: writers wait for its transaction.
2. One server at a time removes messages; the others find the advisory lock taken and skip.
3. `sent_at` decides. After the clock was set back, a message may stay until its predecessor expires.
4. Copies of a message go with it (`copies`): its former texts, and notifications that quote it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.messages.copies import remove_copies
from rtserver.store.schema import KEPT, messages, reactions, rooms

BATCH = 500
"""Messages removed in one transaction."""
BATCH_TEXT = 100_000
"""Characters in their texts: removing them from the full-text index takes as long as saving them did."""
MENTIONS = 1000
"""Mentions in the messages of one transaction, whose inboxes it locks."""
PAGE = 200
"""Rooms read with one query."""
_LOCK = 7_273_657_278  # any number of our own, the same in every server

Announce = Callable[[Sequence[tuple[str, str]]], Awaitable[None]]


class _Batch(NamedTuple):
    """The messages up to `last` are to be removed. `more`: there may be others to be removed after them."""

    last: int
    more: bool


class Retention:
    """Removes expired messages, one batch for each call of `sweep`. `clock`: milliseconds.

    `announce` is called with the removed notifications, as (user, notification id) pairs.
    """

    def __init__(self, db: Database, announce: Announce | None = None, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._announce = announce
        self._clock = clock
        self._after = ""

    async def sweep(self) -> int:
        """Remove up to `BATCH` messages of one room and return how many; 0 after the last room or without the lock."""
        while True:
            due = await self._due()
            for room in due:
                removed, more = await self._trim(room)
                if more:
                    return removed
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
        """Remove a batch; returns how many messages that were, and whether there may be more."""
        async with self._db.reading() as connection:
            if await self._batch(connection, room, lock=False) is None:
                return 0, False  # the usual case needs no lock
        async with self._db.transaction() as connection:
            if not await _try_lock(connection):
                return 0, False
            batch = await self._batch(connection, room, lock=True)
            if batch is None:
                return 0, False
            going = sa.and_(messages.c.room == room, messages.c.seq <= batch.last)
            found = (await connection.execute(sa.select(messages.c.id, messages.c.mentions).where(going))).all()
            quoting = await remove_copies(connection, [(row.id, row.mentions) for row in found])
            await connection.execute(
                sa.delete(reactions).where(reactions.c.room == room, reactions.c.seq <= batch.last)
            )
            await connection.execute(sa.delete(messages).where(going))
            await connection.execute(sa.update(rooms).where(rooms.c.room == room).values(first_seq=batch.last + 1))
        if quoting and self._announce is not None:
            await self._announce(quoting)
        return len(found), batch.more

    async def _batch(self, connection: AsyncConnection, room: str, *, lock: bool) -> _Batch | None:
        """The next batch of expired messages; None where none has expired."""
        limits = sa.select(rooms.c.first_seq, rooms.c.last_seq, rooms.c.keep_seconds, rooms.c.keep_count)
        limits = limits.where(rooms.c.room == room)
        row = (await connection.execute(limits.with_for_update(key_share=True) if lock else limits)).first()
        if row is None:
            return None
        kept_from = row.last_seq - row.keep_count + 1 if row.keep_count is not None else row.first_seq
        kept_since = self._clock() - row.keep_seconds * 1000 if row.keep_seconds is not None else None
        oldest = sa.select(messages.c.seq, messages.c.sent_at, messages.c.mentions, sa.func.length(messages.c.text))
        oldest = oldest.where(messages.c.room == room, messages.c.seq >= row.first_seq).order_by(messages.c.seq)
        last, count, mentions, text = None, 0, 0, 0
        for seq, sent_at, mentioned, length in await connection.execute(oldest.limit(BATCH if lock else 1)):
            if seq >= kept_from and (kept_since is None or sent_at >= kept_since):
                break
            mentions, text = mentions + len(mentioned or ()), text + length
            if last is not None and (mentions > MENTIONS or text > BATCH_TEXT):
                return _Batch(last, more=True)
            last, count = seq, count + 1
        return None if last is None else _Batch(last, more=count == BATCH)


async def _try_lock(connection: AsyncConnection) -> bool:
    """Whether this server may sweep; the lock lasts until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return True  # the transaction already holds the write lock
    return bool((await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK)))).scalar_one())
