"""Read cursors: how far each user has read each room. A cursor only moves forward.

Group commit, because after a message all users in its room move their cursors at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.db.dialects import insert_into
from rtserver.store.db.group_commit import GroupWriter
from rtserver.store.schema import receipts, rooms


class _Cursor(NamedTuple):
    room: str
    user: str
    seq: int


class ReadCursors:
    """Moves cursors between `start` and `stop`; reads at any time.

    `mark_read` runs in the caller's task: it queues the cursor and waits. `_write` runs in the task of the group
    writer, once per batch, in one transaction.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer: GroupWriter[_Cursor, int] = GroupWriter(self._write)

    async def start(self) -> None:
        """Start the group writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Reject new cursors and save the queued ones."""
        await self._writer.stop()

    async def mark_read(self, room: str, user: str, seq: int) -> tuple[int, bool]:
        """Move the cursor to `seq`, never backwards and never past the last message.

        Returns the cursor, and whether it moved.
        Raises `Unavailable`.
        """
        last_seq, cursor = await self._state(room, user)
        wanted = min(seq, last_seq)
        if wanted <= cursor:
            return cursor, False
        return await self._writer.submit(_Cursor(room, user, wanted)), True

    async def last_read(self, room: str, user: str) -> int:
        """The cursor; 0 before the first `mark_read`."""
        return (await self._state(room, user))[1]

    async def _state(self, room: str, user: str) -> tuple[int, int]:
        """The last number of the room and the cursor."""
        mine = sa.and_(receipts.c.room == rooms.c.room, receipts.c.user_id == user)
        query = (
            sa.select(rooms.c.last_seq, receipts.c.seq)
            .select_from(rooms)
            .outerjoin(receipts, mine)
            .where(rooms.c.room == room)
        )
        async with self._db.reading() as connection:
            row = (await connection.execute(query)).first()
        return (row[0], row[1] or 0) if row else (0, 0)

    async def _write(self, batch: Sequence[_Cursor]) -> list[int]:
        """Move a batch of cursors; returns where each is. In sorted order, so that two servers cannot deadlock."""
        furthest: dict[tuple[str, str], int] = {}
        for room, user, seq in batch:
            furthest[room, user] = max(seq, furthest.get((room, user), 0))
        rows = [{"room": room, "user_id": user, "seq": seq} for (room, user), seq in sorted(furthest.items())]
        async with self._db.transaction() as connection:
            statement = insert_into(connection, receipts)
            # Another server may have moved the cursor further.
            further = sa.case((statement.excluded.seq > receipts.c.seq, statement.excluded.seq), else_=receipts.c.seq)
            upsert = statement.on_conflict_do_update(
                index_elements=[receipts.c.room, receipts.c.user_id], set_={"seq": further}
            ).returning(receipts.c.room, receipts.c.user_id, receipts.c.seq)
            moved = {(row.room, row.user_id): int(row.seq) for row in await connection.execute(upsert, rows)}
        return [moved[one.room, one.user] for one in batch]
