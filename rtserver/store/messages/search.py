"""Search in the messages of a user's rooms, newest first. Migrations 0005 to 0007 create the full-text index.

1. What a query asks for is decided in `search_words`, how it is found in `search_sqlite` and `search_postgres`.
2. Membership is checked again for every page. Tombstones are not in the index.
3. A cursor is a position in the order and grants nothing: the messages behind it are checked like all others.
4. A search may be expensive. It has connections of its own, one search of a user runs at a time, and after `SECONDS`
   it is stopped in the database. So it delays no other kind of request, whatever it asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.answer_size import fitting
from rtserver.store.db.column_types import checked_text
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS
from rtserver.store.db.user_queue import UserQueue
from rtserver.store.messages.records import Message
from rtserver.store.messages.search_postgres import find_postgres
from rtserver.store.messages.search_sqlite import find_sqlite
from rtserver.store.messages.search_words import Word, words_of
from rtserver.store.schema import members, rooms

MAX_ROOMS = 500
"""Rooms that a search without `room` looks at: the ones with the latest activity."""
SECONDS = 2.0
"""How long the database may take for one page."""
WAITING = 3
"""Searches of one user that may wait for the one that runs."""
WAIT_SECONDS = 5.0

Page = tuple[list[Message], str | None]


class Search:
    """Full-text search: FTS5 on SQLite, `tsvector` on Postgres. `seconds`: how long the database may take."""

    def __init__(self, db: Database, *, seconds: float = SECONDS) -> None:
        self._db = db
        self._seconds = seconds
        self._queue = UserQueue(concurrent=EXPENSIVE_CONNECTIONS, waiting=WAITING, seconds=WAIT_SECONDS)

    async def find(
        self,
        user: str,
        query: str,
        *,
        room: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
        readable: Callable[[str | None], bool] = lambda policy: True,
    ) -> Page:
        """A page of messages with all words of `query`, and the cursor of the next page.

        Only in rooms of which `user` is a member and whose own policy is `readable`. The messages come without
        reactions. Raises `InvalidPayload` for an invalid cursor, `RateLimited` where too many searches of the user
        wait, `TimedOut` where the database takes too long, and `Unavailable`.
        """
        words = words_of(checked_text(query))

        async def read(connection: AsyncConnection) -> Sequence[tuple[str, Message]]:
            names = await _rooms_of(connection, user, room, readable)
            return await _find(connection, words, names, cursor, limit + 1) if names else ()

        if not words:
            return [], None
        async with self._queue.turn(user):
            found = await self._db.read_expensive(read, self._seconds)
        page = fitting([message for _, message in found[:limit]])
        return [*page], found[len(page) - 1][0] if len(found) > len(page) else None


async def _find(
    connection: AsyncConnection, words: Sequence[Word], names: Sequence[str], cursor: str | None, limit: int
) -> Sequence[tuple[str, Message]]:
    find = find_sqlite if connection.dialect.name == "sqlite" else find_postgres
    return await find(connection, words, names, cursor, limit)


async def _rooms_of(
    connection: AsyncConnection, user: str, room: str | None, readable: Callable[[str | None], bool]
) -> list[str]:
    chosen = sa.select(rooms.c.room, rooms.c.policy).join(members, members.c.room == rooms.c.room)
    mine = chosen.where(members.c.user_id == user)
    if room is not None:
        mine = mine.where(rooms.c.room == room)
    last_active = mine.order_by(rooms.c.active_at.desc()).limit(MAX_ROOMS)
    return [row.room for row in await connection.execute(last_active) if readable(row.policy)]
