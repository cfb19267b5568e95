"""Unread counts: unread notifications, those unseen among them, and the most frequent types."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.store.db.column_types import checked_key
from rtserver.store.db.dialects import among
from rtserver.store.notifications.records import Unread
from rtserver.store.notifications.rows import alive, unread
from rtserver.store.schema.notifications import notifications

MAX_TYPES = 100

_Counts = list[tuple[str, int, int]]  # type, unread, unseen


async def count_of(connection: AsyncConnection, user: str) -> Unread:
    """The counts of one user."""
    found = await _counts(connection, notifications.c.user_id == checked_key(user))
    return _total(found.get(user, []))


async def counts_of(connection: AsyncConnection, users: Sequence[str]) -> dict[str, Unread]:
    """The counts of each of `users`."""
    found = await _counts(connection, among(connection, notifications.c.user_id, map(checked_key, users)))
    return {user: _total(found.get(user, [])) for user in users}


async def _counts(connection: AsyncConnection, whose: sa.ColumnElement[bool]) -> dict[str, _Counts]:
    of, user = notifications.c.type, notifications.c.user_id
    unseen = sa.func.sum(sa.case((notifications.c.seen, 0), else_=1))
    query = sa.select(user, of, sa.func.count(), unseen).where(whose, unread(), alive(now_ms())).group_by(user, of)
    found: dict[str, _Counts] = {}
    for name, type_, count, fresh in await connection.execute(query):
        found.setdefault(name, []).append((type_, int(count), int(fresh)))
    return found


def _total(rows: _Counts) -> Unread:
    rows = sorted(rows, key=lambda row: (-row[1], row[0]))
    types = {type_: count for type_, count, _ in rows[:MAX_TYPES]}
    return Unread(sum(row[1] for row in rows), sum(row[2] for row in rows), types)
