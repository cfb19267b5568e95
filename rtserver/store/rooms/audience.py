"""Audiences of notifications: all users, or the members of a room, in pages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.schema import members
from rtserver.store.schema.notifications import inboxes

PAGE = 1_000


class Audience:
    """Pages of user ids. Raises `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def page(self, room: str | None, after: str) -> list[str]:
        """The next user ids after `after`, in order: members of `room`, or all users. Fewer than `PAGE`: the end."""
        return await (self._everyone(after) if room is None else self._members(room, after))

    async def _everyone(self, after: str) -> list[str]:
        """All users that ever got a notification, opened their inbox or joined a room."""
        later = (table.c.user_id > checked_key(after) for table in (inboxes, members))
        sources = (sa.select(column.left).where(column).distinct().order_by(column.left) for column in later)
        both = sa.union(*(sa.select(source.limit(PAGE).subquery()) for source in sources)).subquery()
        return await self._users(sa.select(both.c.user_id).order_by(both.c.user_id).limit(PAGE))

    async def _members(self, room: str, after: str) -> list[str]:
        later = sa.and_(members.c.room == checked_key(room), members.c.user_id > checked_key(after))
        return await self._users(sa.select(members.c.user_id).where(later).order_by(members.c.user_id).limit(PAGE))

    async def _users(self, query: sa.Select[Any]) -> list[str]:
        async with self._db.reading() as connection:
            return list((await connection.execute(query)).scalars())
