"""Webhook insertion: webhooks of notifications, written in the same transaction. Knows nothing of sending them.

A notification has at most one webhook that was not attempted yet: a group that grows until then is sent once, in its
latest state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from msgspec import to_builtins
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso
from rtserver.store.db.dialects import among
from rtserver.store.notifications.records import Delivered, Preferences
from rtserver.store.schema.notifications import webhooks


async def queue_webhooks(
    connection: AsyncConnection,
    wanted: Iterable[tuple[str, Delivered]],
    preferences: Mapping[str, Preferences],
    new_id: Callable[[], str],
    now: int,
    delay: int,
) -> None:
    """Insert one webhook per notification, due after `delay` milliseconds, but not before quiet hours end."""
    rows = [_row(user, one, preferences.get(user), new_id(), now, delay) for user, one in wanted]
    grown = [row["notification_id"] for row in rows if row["body"]["data"]["notification"]["count"] > 1]
    if grown:
        untried = sa.and_(among(connection, webhooks.c.notification_id, grown), webhooks.c.attempts == 0)
        replaced = sa.delete(webhooks).where(untried).returning(webhooks.c.notification_id, webhooks.c.due_at)
        due = {row.notification_id: row.due_at for row in await connection.execute(replaced)}
        for row in rows:  # a group that keeps growing must not delay its webhook
            if row["due_at"] == now + delay:
                row["due_at"] = due.get(row["notification_id"], row["due_at"])
    if rows:
        await connection.execute(sa.insert(webhooks), rows)


def _row(user: str, one: Delivered, preferences: Preferences | None, id_: str, now: int, delay: int) -> dict[str, Any]:
    return {
        "id": id_,
        "user_id": user,
        "notification_id": one.notification.id,
        "body": {
            "type": "notification.created",
            "timestamp": iso(now),
            "data": {"user": user, "notification": to_builtins(one.notification)},
        },
        "created_at": now,
        "due_at": max(now + delay, _quiet_until(preferences, now)),
        "attempts": 0,
    }


def _quiet_until(preferences: Preferences | None, now: int) -> int:
    if preferences is None or preferences.quiet_hours is None:
        return 0
    end = preferences.quiet_hours.until(datetime.fromtimestamp(now / 1000, UTC))
    return 0 if end is None else int(end.timestamp() * 1000)
