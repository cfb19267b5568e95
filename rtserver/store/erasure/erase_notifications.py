"""Erasure of a user's inbox: notifications, preferences, receipts, keys and webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.removal import remove_notifications
from rtserver.store.schema.notifications import deliveries, grouped_keys, inboxes, notifications, preferences, webhooks


async def erase_inbox(connection: AsyncConnection, user: str, limit: int) -> int:
    """Remove up to `limit` of the user's notifications; once none is left, all other rows of the inbox.

    Returns the number of rows removed; 0 when nothing was left.
    """
    if (await connection.execute(sa.select(inboxes.c.user_id).where(inboxes.c.user_id == user))).first() is not None:
        await lock_inboxes(connection, [user])
    some = sa.select(notifications.c.id).where(notifications.c.user_id == user).limit(limit)
    ids = list((await connection.execute(some)).scalars())
    if ids:
        await remove_notifications(connection, ids)
        return len(ids)
    count = 0
    for table in (deliveries, grouped_keys, preferences, webhooks, inboxes):
        count += (await connection.execute(sa.delete(table).where(table.c.user_id == user))).rowcount
    return count
