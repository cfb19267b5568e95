"""Who everyone is, and who is in a room, in pages: for notifications to many."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from rtserver.store.columns import checked_key
from rtserver.store.database import Database
from rtserver.store.schema import members
from rtserver.store.schema_notifications import inboxes


class Audience:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def everyone(self, after: str, limit: int) -> list[str]:
        """Of all who ever had a notification, opened their inbox or joined a room: those after `after`, in order."""
        later = (table.c.user_id > checked_key(after) for table in (inboxes, members))
        sources = (sa.select(column.left).where(column).distinct().order_by(column.left) for column in later)
        both = sa.union(*(sa.select(source.limit(limit).subquery()) for source in sources)).subquery()
        return await self._users(sa.select(both.c.user_id).order_by(both.c.user_id).limit(limit))

    async def members(self, room: str, after: str, limit: int) -> list[str]:
        """The members of the room after `after`, in order."""
        query = sa.select(members.c.user_id).where(members.c.room == checked_key(room), members.c.user_id > after)
        return await self._users(query.order_by(members.c.user_id).limit(limit))

    async def _users(self, query: sa.Select[Any]) -> list[str]:
        async with self._db.reading() as connection:
            return list((await connection.execute(query)).scalars())
