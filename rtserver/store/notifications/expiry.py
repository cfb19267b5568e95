"""Expiry: removes expired notifications, and webhooks that failed long ago."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.removal import remove_dependents
from rtserver.store.schema.notifications import notifications, webhooks

BATCH = 500
KEEP_FAILED_MS = 30 * 24 * 3600 * 1000
"""How long a failed webhook is kept for inspection."""
_LOCK = 7_273_657_277  # any number of our own, the same in every server


class Expiry:
    """Removes one batch for each call of `sweep`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def sweep(self) -> int:
        """Remove a batch and return its size; 0 when nothing has expired, or another server is sweeping."""
        now = now_ms()
        expired = notifications.c.expires_at <= now
        parked = webhooks.c.failed_at < now - KEEP_FAILED_MS
        async with self._db.reading() as connection:
            due = sa.select(sa.exists().where(expired), sa.exists().where(parked))
            if not any((await connection.execute(due)).one()):
                return 0
        async with self._db.transaction() as connection:
            if not await _try_lock(connection):
                return 0
            old = sa.select(webhooks.c.id).where(parked).limit(BATCH)
            removed = await connection.execute(sa.delete(webhooks).where(webhooks.c.id.in_(old)))
            return removed.rowcount + await _remove(connection, expired)


async def _try_lock(connection: AsyncConnection) -> bool:
    """Whether this server may sweep; the lock lasts until the transaction ends."""
    if connection.dialect.name == "sqlite":
        return True  # the transaction already holds the write lock
    return bool((await connection.execute(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK)))).scalar_one())


async def _remove(connection: AsyncConnection, expired: sa.ColumnElement[bool]) -> int:
    """Remove expired notifications under the inbox locks, so that none is removed while a group takes over its row."""
    query = sa.select(notifications.c.id, notifications.c.user_id).where(expired)
    rows = (await connection.execute(query.order_by(notifications.c.expires_at).limit(BATCH))).all()
    if not rows:
        return 0
    await lock_inboxes(connection, sorted({row.user_id for row in rows}))
    chosen = among(connection, notifications.c.id, [row.id for row in rows])
    done = await connection.execute(sa.delete(notifications).where(chosen, expired).returning(notifications.c.id))
    removed = list(done.scalars())
    await remove_dependents(connection, removed)
    return len(removed)
