"""Room heads: the last numbers of rooms, many with one query, for comparing with what was delivered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.schema import members, rooms

_DIRECT = "dm:%"
_COLUMNS = (rooms.c.room, rooms.c.last_seq, rooms.c.last_rev, rooms.c.active_at)


class RoomHead(NamedTuple):
    """`active_at`: when the last message was saved, in milliseconds."""

    room: str
    last_seq: int
    last_rev: int
    active_at: int


class RoomHeads:
    """All methods raise `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def of(self, names: Sequence[str]) -> dict[str, RoomHead]:
        """The heads of these rooms; rooms that do not exist are left out."""
        async with self._db.reading() as connection:
            query = sa.select(*_COLUMNS).where(among(connection, rooms.c.room, map(checked_key, names)))
            return {row[0]: RoomHead(*row) for row in await connection.execute(query)}

    async def active_direct(self, users: Sequence[str], since: int) -> dict[str, RoomHead]:
        """The heads of the direct rooms of these users that got a message since then (milliseconds)."""
        async with self._db.reading() as connection:
            mine = among(connection, members.c.user_id, map(checked_key, users))
            query = (
                sa.select(*_COLUMNS)
                .join(members, members.c.room == rooms.c.room)
                .where(mine, members.c.room.like(_DIRECT), rooms.c.active_at >= since)
                .distinct()
            )
            return {row[0]: RoomHead(*row) for row in await connection.execute(query)}
