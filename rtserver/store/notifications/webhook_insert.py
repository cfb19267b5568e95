"""Webhook insertion: webhooks of notifications, written in the same transaction. Knows nothing of sending them.

A notification has at most one webhook that was not attempted yet: a group that grows until then is sent once, in its
latest state. So are notifications of which one webhook is enough (`one_webhook`): mentions of a user in one room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from msgspec import to_builtins
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso
from rtserver.store.db.dialects import among
from rtserver.store.notifications.records import Delivered, Preferences
from rtserver.store.schema.notifications import notifications, webhooks

_Place = tuple[str, str, str | None]  # user, type, room


class WebhookOrder(NamedTuple):
    """A notification that is to have a webhook. `one`: only one waits for its user, type and room."""

    user: str
    delivered: Delivered
    one: bool = False

    @property
    def place(self) -> _Place:
        note = self.delivered.notification
        return self.user, note.type, note.room


async def queue_webhooks(
    connection: AsyncConnection,
    wanted: Iterable[WebhookOrder],
    preferences: Mapping[str, Preferences],
    new_id: Callable[[], str],
    now: int,
    delay: int,
) -> None:
    """Insert one webhook per notification, due after `delay` milliseconds, but not before quiet hours end."""
    orders = list(wanted)
    latest = {order.place: order for order in orders if order.one}
    orders = [order for order in orders if not order.one or latest[order.place] is order]
    rows = [_row(order, preferences.get(order.user), new_id(), now, delay) for order in orders]
    due = await _replaced_groups(connection, rows) | await _replaced_places(connection, latest)
    for row in rows:  # a group that keeps growing must not delay its webhook
        if row["due_at"] == now + delay:
            row["due_at"] = due.get(row["notification_id"], row["due_at"])
    if rows:
        await connection.execute(sa.insert(webhooks), rows)


async def _replaced_groups(connection: AsyncConnection, rows: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Delete the untried webhooks of groups that have grown; returns when they were due, by notification id."""
    grown = [row["notification_id"] for row in rows if row["body"]["data"]["notification"]["count"] > 1]
    if not grown:
        return {}
    untried = sa.and_(among(connection, webhooks.c.notification_id, grown), webhooks.c.attempts == 0)
    replaced = sa.delete(webhooks).where(untried).returning(webhooks.c.notification_id, webhooks.c.due_at)
    return {row.notification_id: row.due_at for row in await connection.execute(replaced)}


async def _replaced_places(connection: AsyncConnection, latest: Mapping[_Place, WebhookOrder]) -> dict[str, int]:
    """Delete the untried webhooks whose place is taken; returns when they were due, by the new notification's id."""
    if not latest:
        return {}
    users = sorted({order.user for order in latest.values()})
    query = (
        sa.select(webhooks.c.id, webhooks.c.due_at, webhooks.c.user_id, notifications.c.type, notifications.c.room)
        .join(notifications, notifications.c.id == webhooks.c.notification_id)
        .where(among(connection, webhooks.c.user_id, users), webhooks.c.attempts == 0, webhooks.c.failed_at.is_(None))
    )
    due: dict[str, int] = {}
    going: list[str] = []
    for id_, due_at, *place in await connection.execute(query):
        order = latest.get((place[0], place[1], place[2]))
        if order is not None:
            new = order.delivered.notification.id
            due[new] = min(due_at, due.get(new, due_at))
            going.append(id_)
    if going:
        await connection.execute(sa.delete(webhooks).where(among(connection, webhooks.c.id, going)))
    return due


def _row(order: WebhookOrder, preferences: Preferences | None, id_: str, now: int, delay: int) -> dict[str, Any]:
    user, one, _ = order
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
