"""Removal of notifications, with the rows that belong to them, inside the caller's transaction.

1. Receipts and grouped keys go with their notification in every case.
2. Webhooks go too where the content must not leave any more (a deleted message, an erased user). Elsewhere those that
   wait stay, and the dispatcher finds out that they are stale; failed ones, which nobody sends any more, go.
3. The caller holds the locks of the inboxes, except for `remove_mentions`, which takes them itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.db.dialects import among, matches
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.schema.notifications import deliveries, grouped_keys, notifications, webhooks


async def remove_dependents(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Delete the receipts, the grouped keys and the failed webhooks of these notifications (rule 2)."""
    if ids:
        failed = sa.and_(among(connection, webhooks.c.notification_id, ids), webhooks.c.failed_at.is_not(None))
        await connection.execute(sa.delete(webhooks).where(failed))
        for table in (deliveries, grouped_keys):
            await connection.execute(sa.delete(table).where(among(connection, table.c.notification_id, ids)))


async def remove_notifications(connection: AsyncConnection, ids: Sequence[str]) -> None:
    """Delete these notifications with all that belongs to them, webhooks included."""
    await remove_dependents(connection, ids)
    await connection.execute(sa.delete(webhooks).where(among(connection, webhooks.c.notification_id, ids)))
    await connection.execute(sa.delete(notifications).where(among(connection, notifications.c.id, ids)))


async def remove_mentions(
    connection: AsyncConnection, mentioned: Sequence[tuple[str, str]]
) -> dict[str, list[tuple[str, str]]]:
    """Remove the mention notifications of messages, which quote the text and name the author.

    `mentioned` are (user, message id) pairs. Returns the removed ones by message id, as (user, notification id) pairs.
    Call it once per transaction: it locks inboxes in sorted order, as readers, deletions and insertions do, and a
    second call could lock in another order.
    """
    keys = {(user, f"mention:{id_}"): id_ for user, id_ in mentioned}
    if not keys:
        return {}
    quoting = matches(connection, [notifications.c.user_id, notifications.c.key], keys)
    query = sa.select(notifications.c.user_id, notifications.c.key, notifications.c.id).where(quoting)
    users = sorted({row.user_id for row in await connection.execute(query)})
    if not users:
        return {}
    await lock_inboxes(connection, users)
    found: dict[str, list[tuple[str, str]]] = {}
    for user, key, id_ in await connection.execute(query):
        found.setdefault(keys[user, key], []).append((user, id_))
    await remove_notifications(connection, [id_ for pairs in found.values() for _, id_ in pairs])
    return found
