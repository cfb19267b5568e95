"""Recent notifications of many users with one query, for comparing with what was pushed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.notifications.preferences import preferences_of
from rtserver.store.notifications.records import NO_PREFERENCES, Notification, Unread
from rtserver.store.notifications.rows import alive, note_columns, note_of, unread
from rtserver.store.notifications.unread_counts import counts_of
from rtserver.store.schema.notifications import inboxes, notifications

NEWEST = 50
"""Notifications of one user that are looked at: the newest by their number."""


class RecentNotification(NamedTuple):
    """`silent`: the user has quiet hours now."""

    user: str
    notification: Notification
    silent: bool


class RecentNotifications:
    """All methods raise `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def since(self, users: Sequence[str], since: int) -> list[RecentNotification]:
        """Unread notifications that were saved since then (milliseconds), by rising `seq`."""
        names = [checked_key(user) for user in users]
        async with self._db.reading() as connection:
            query = (
                sa.select(notifications.c.user_id, *note_columns())
                .join(inboxes, inboxes.c.user_id == notifications.c.user_id)
                .where(
                    among(connection, inboxes.c.user_id, names),
                    notifications.c.seq > inboxes.c.last_seq - NEWEST,
                    notifications.c.created_at >= since,
                    unread(),
                    alive(now_ms()),
                )
                .order_by(notifications.c.seq)
            )
            found = [(user, note_of(row)) for user, *row in await connection.execute(query)]
            preferences = await preferences_of(connection, sorted({user for user, _ in found})) if found else {}
        now = datetime.now(UTC)
        quiet = {user: preferences.get(user, NO_PREFERENCES).quiet_at(now) for user, _ in found}
        return [RecentNotification(user, note, quiet[user]) for user, note in found]

    async def counts(self, users: Sequence[str]) -> dict[str, Unread]:
        """The unread counts of each of these users."""
        async with self._db.reading() as connection:
            return await counts_of(connection, users)
