"""What is kept of a person about notifications: the own inbox, and what was said in those of others."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.db.dialects import among, matches
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.notification_store import forget_what_belongs_to
from rtserver.store.schema.notifications import deliveries, grouped_keys, inboxes, notifications, preferences, webhooks


async def forget_inbox(connection: AsyncConnection, user: str, limit: int) -> int:
    """Remove a batch of `user`'s notifications, and at last everything else; 0 when nothing was left."""
    if (await connection.execute(sa.select(inboxes.c.user_id).where(inboxes.c.user_id == user))).first() is not None:
        await lock_inboxes(connection, [user])
    some = sa.select(notifications.c.id).where(notifications.c.user_id == user).limit(limit)
    ids = list((await connection.execute(some)).scalars())
    if ids:
        await _remove(connection, ids)
        return len(ids)
    count = 0
    for table in (deliveries, grouped_keys, preferences, webhooks, inboxes):
        count += (await connection.execute(sa.delete(table).where(table.c.user_id == user))).rowcount
    return count


async def forget_mentions(
    connection: AsyncConnection, mentioned: Sequence[tuple[str, str]]
) -> dict[str, list[tuple[str, str]]]:
    """Remove the notifications of these users about these messages: they quote them, and name the author.

    Gives those that there were, each with its user, by message. To be called once in a transaction: it locks inboxes,
    as does whoever reads, deletes or adds there.
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
    await _remove(connection, [id_ for gone in found.values() for _, id_ in gone])
    return found


async def _remove(connection: AsyncConnection, ids: list[str]) -> None:
    await forget_what_belongs_to(connection, ids)
    await connection.execute(sa.delete(webhooks).where(among(connection, webhooks.c.notification_id, ids)))
    await connection.execute(sa.delete(notifications).where(among(connection, notifications.c.id, ids)))
