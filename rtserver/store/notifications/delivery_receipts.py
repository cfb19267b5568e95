"""Delivery receipts: which device has which notification. Group commit, because they arrive by the thousand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among, insert_into, matches
from rtserver.store.db.group_commit import GroupWriter
from rtserver.store.schema.notifications import deliveries, notifications

MAX_DEVICES = 50
"""Devices with a receipt per notification, approximately: a client can use any number of device names."""


class _Received(NamedTuple):
    """`seqs`: notification id → the `seq` that the device received; None: the current one. `at`: milliseconds."""

    user: str
    device: str
    seqs: dict[str, int | None]
    at: int


class DeliveryReceipts:
    """Saves receipts between `start` and `stop`.

    `record` runs in the caller's task: it queues the receipts and waits. `_write` runs in the task of the group writer,
    once per batch, in one transaction.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._writer: GroupWriter[_Received, None] = GroupWriter(self._write, batch_limit=200)

    async def start(self) -> None:
        """Start the group writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Reject new receipts and save the queued ones."""
        await self._writer.stop()

    async def record(self, user: str, device: str, seqs: dict[str, int | None]) -> None:
        """Save receipts of a device; the first one for a notification counts.

        Ignores notifications that the user does not have, or that have another `seq` by now. Raises `Unavailable`.
        """
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
                await _insert(connection, rows)
        return [None] * len(batch)


async def _insert(connection: AsyncConnection, rows: dict[tuple[str, str], tuple[str, int]]) -> None:
    """Insert receipts in sorted order, so that two servers with the same ones cannot deadlock."""
    known = among(connection, deliveries.c.notification_id, {id_ for id_, _ in rows})
    query = sa.select(deliveries.c.notification_id, sa.func.count()).where(known)
    counts = {row[0]: row[1] for row in await connection.execute(query.group_by(deliveries.c.notification_id))}
    values: list[dict[str, object]] = []
    for (id_, device), (user, at) in sorted(rows.items()):
        counts[id_] = counts.get(id_, 0) + 1
        if counts[id_] <= MAX_DEVICES:
            values.append({"notification_id": id_, "device": device, "user_id": user, "delivered_at": at})
    if values:
        await connection.execute(insert_into(connection, deliveries).on_conflict_do_nothing(), values)
