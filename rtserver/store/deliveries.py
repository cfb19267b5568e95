"""Which device has which notification: receipts, committed in groups as they come in by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from rtserver.store.clock import now_ms
from rtserver.store.columns import checked_key
from rtserver.store.database import Database
from rtserver.store.engines import insert_into, matches
from rtserver.store.schema_notifications import deliveries, notifications
from rtserver.store.writer import GroupWriter


class _Received(NamedTuple):
    """`seqs`: which state of each notification it was, by id; None: whichever it is now."""

    user: str
    device: str
    seqs: dict[str, int | None]
    at: int


class Deliveries:
    """Needs `start` and `stop`."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer: GroupWriter[_Received, None] = GroupWriter(self._write, batch_limit=200)

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def record(self, user: str, device: str, seqs: dict[str, int | None]) -> None:
        """The first receipt of a device counts. What the user does not have, or has another state of, is ignored."""
        if seqs:
            await self._writer.submit(_Received(user, device, seqs, now_ms()))

    async def _write(self, batch: Sequence[_Received]) -> list[None]:
        wanted = {(checked_key(one.user), checked_key(id_)) for one in batch for id_ in one.seqs}
        async with self._db.transaction() as connection:
            mine = matches(connection, [notifications.c.user_id, notifications.c.id], wanted)
            query = sa.select(notifications.c.user_id, notifications.c.id, notifications.c.seq).where(mine)
            there = {(user, id_): seq for user, id_, seq in await connection.execute(query)}
            rows = {
                (id_, one.device): (one.user, one.at)
                for one in reversed(batch)
                for id_, seq in one.seqs.items()
                if there.get((one.user, id_), 0) == (seq or there.get((one.user, id_)))
            }
            if rows:
                # Sorted, so that two servers with the same ones do not wait for each other.
                values = [
                    {"notification_id": id_, "device": device, "user_id": user, "delivered_at": at}
                    for (id_, device), (user, at) in sorted(rows.items())
                ]
                await connection.execute(insert_into(connection, deliveries).on_conflict_do_nothing(), values)
        return [None] * len(batch)
