"""Abandoned rooms: rooms that everybody has left and that hold nothing are removed.

1. A room that ever had a message stays, and so does one with a setting, or one that the audit names: an admin or a
   backend made it. The others were made by users who joined them.
2. It is removed under the lock of its row, in the transaction that ends the last membership. A user who joins at this
   moment keeps the room, or makes it anew.
3. `AbandonedRooms` finds those that are left over, a page of all rooms at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among, in_byte_order
from rtserver.store.schema import audit, members, receipts, rooms

PAGE = 1000
"""Rooms looked at by one call of `sweep`."""


class AbandonedRooms:
    """Removes abandoned rooms, page by page."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._after = ""

    async def sweep(self) -> int:
        """Look at the next page of rooms. Always returns 0: the page after it is for the next call."""
        page = sa.select(rooms.c.room).where(rooms.c.room > self._after).order_by(rooms.c.room).limit(PAGE)
        async with self._db.reading() as connection:
            names = list((await connection.execute(page)).scalars())
            query = sa.select(rooms.c.room).where(among(connection, rooms.c.room, names), _unused(), _empty())
            abandoned = list((await connection.execute(query)).scalars())
        if abandoned:
            async with self._db.transaction() as connection:
                await remove_abandoned(connection, abandoned)
        self._after = names[-1] if len(names) == PAGE else ""
        return 0


async def remove_abandoned(connection: AsyncConnection, names: Sequence[str]) -> None:
    """Remove those of the rooms that are abandoned, in the caller's transaction."""
    unused = sa.select(rooms.c.room).where(among(connection, rooms.c.room, names), _unused())
    # FOR UPDATE: who becomes a member at this moment waits for us, or we for them. The members are counted afterwards.
    locking = unused.order_by(in_byte_order(connection, rooms.c.room)).with_for_update()
    locked = list((await connection.execute(locking)).scalars())
    if not locked:
        return
    these = sa.and_(among(connection, rooms.c.room, locked), _unused(), _empty())
    empty = list((await connection.execute(sa.select(rooms.c.room).where(these))).scalars())
    for table in (receipts, rooms):
        await connection.execute(sa.delete(table).where(among(connection, table.c.room, empty)))


def _unused() -> sa.ColumnElement[bool]:
    """Rooms without a message or a setting."""
    settings = (rooms.c.policy, rooms.c.meta, rooms.c.keep_seconds, rooms.c.keep_count, rooms.c.slow_seconds)
    unset = (column.is_(None) for column in settings)
    return sa.and_(rooms.c.last_seq == 0, sa.not_(rooms.c.read_only), *unset)


def _empty() -> sa.ColumnElement[bool]:
    """Rooms without members that the audit does not name."""
    occupied = sa.exists().where(members.c.room == rooms.c.room)
    named = sa.exists().where(audit.c.room == rooms.c.room)
    return sa.and_(~occupied, ~named)
