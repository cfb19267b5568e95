"""The queue of webhooks: who delivers which next, until when, and what has become of it. Knows nothing of HTTP.

1. Whoever claims one has it for the time of the lease; when that has passed without a word, another server takes over.
   So it is delivered by one server at a time, and at least once.
2. `attempts` counts the claims. What is settled was claimed by the same count: a server that comes too late is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.protocol import json
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.notifications.rows import alive, unread
from rtserver.store.schema.notifications import notifications, webhooks


class Webhook(NamedTuple):
    """`stale`: the notification was read or deleted meanwhile, or has expired."""

    id: str
    user: str
    body: bytes
    attempts: int
    stale: bool


class Settled(NamedTuple):
    """What has become of a claimed one. It is done with, unless there is `due_at`, when to try again, or `error`.

    With `due_at` and without `error` it was not tried.
    """

    webhook: Webhook
    due_at: int | None = None
    error: str | None = None


class QueueState(NamedTuple):
    """`oldest`: milliseconds for which the oldest that still waits has waited; None where none does."""

    waiting: int
    oldest: int | None
    failed: int


class WebhookQueue:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, limit: int, lease: int) -> list[Webhook]:
        """Some that are due, those that waited longest first, for `lease` milliseconds."""
        now = now_ms()
        due = sa.and_(webhooks.c.failed_at.is_(None), webhooks.c.due_at <= now)
        chosen = sa.select(webhooks.c.id).where(due).order_by(webhooks.c.due_at).limit(limit)
        async with self._db.reading() as connection:  # mostly none is, and none need be kept from writing then
            if (await connection.execute(chosen.limit(1))).first() is None:
                return []
        async with self._db.transaction() as connection:
            ids = list((await connection.execute(chosen.with_for_update(skip_locked=True))).scalars())
            claiming = (
                sa.update(webhooks)
                .where(among(connection, webhooks.c.id, ids))
                .values(attempts=webhooks.c.attempts + 1, due_at=now + lease)
                .returning(
                    webhooks.c.id, webhooks.c.user_id, webhooks.c.body, webhooks.c.attempts,
                    webhooks.c.notification_id,
                )
            )  # fmt: skip
            rows = (await connection.execute(claiming)).all()
            current = sa.and_(among(connection, notifications.c.id, (row.notification_id for row in rows)), unread())
            found = set((await connection.execute(sa.select(notifications.c.id).where(current, alive(now)))).scalars())
        return [
            Webhook(row.id, row.user_id, json.dumps(row.body), row.attempts, row.notification_id not in found)
            for row in sorted(rows)
        ]

    async def settle(self, settled: Sequence[Settled]) -> None:
        again = [_change(one) for one in settled if one.due_at is not None or one.error is not None]
        done = [_which(one.webhook) for one in settled if one.due_at is None and one.error is None]
        mine = sa.and_(webhooks.c.id == sa.bindparam("which"), webhooks.c.attempts == sa.bindparam("claim"))
        async with self._db.transaction() as connection:
            if done:
                await connection.execute(sa.delete(webhooks).where(mine), done)
            if again:
                names = ("attempts", "due_at", "failed_at", "error")
                changed: dict[str, Any] = {name: sa.bindparam(f"new_{name}") for name in names}
                await connection.execute(sa.update(webhooks).where(mine).values(changed), again)

    async def state(self) -> QueueState:
        waits = webhooks.c.failed_at.is_(None)
        waiting = sa.select(sa.func.count(), sa.func.min(webhooks.c.created_at)).where(waits)
        failed = sa.select(sa.func.count()).select_from(webhooks).where(webhooks.c.failed_at.is_not(None))
        async with self._db.reading() as connection:
            count, oldest = (await connection.execute(waiting)).one()
            parked = (await connection.execute(failed)).scalar_one()
        return QueueState(count, None if oldest is None else max(0, now_ms() - oldest), parked)


def _which(webhook: Webhook) -> dict[str, object]:
    return {"which": webhook.id, "claim": webhook.attempts}


def _change(one: Settled) -> dict[str, object]:
    """One without a time to try again is parked; one that was not tried gets its attempt back."""
    tried = one.error is not None
    return {
        **_which(one.webhook),
        "new_attempts": one.webhook.attempts - (not tried),
        "new_due_at": now_ms() if one.due_at is None else one.due_at,
        "new_failed_at": now_ms() if one.due_at is None else None,
        "new_error": one.error,
    }
