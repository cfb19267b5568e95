"""Webhook queue: claims with leases, retries and parked failures. Knows nothing of HTTP.

1. A server claims a webhook for the time of a lease. When the lease ends without a result, another server claims it. So
   a webhook is delivered by one server at a time, and at least once.
2. `attempts` counts the claims and identifies them: a result is ignored when the webhook was claimed again since.
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
    """A claimed webhook. `stale`: its notification was read or deleted meanwhile, or has expired."""

    id: str
    user: str
    body: bytes
    attempts: int
    stale: bool


class Settled(NamedTuple):
    """The result of a claimed webhook: done, or to be repeated at `due_at`, or failed for good with `error`.

    With `due_at` and without `error`, delivery was not attempted.
    """

    webhook: Webhook
    due_at: int | None = None
    error: str | None = None


class QueueState(NamedTuple):
    """`waiting`, `failed`: numbers of webhooks. `oldest`: age of the oldest waiting one in milliseconds, or None."""

    waiting: int
    oldest: int | None
    failed: int


class WebhookQueue:
    """All methods raise `Unavailable`."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def claim(self, limit: int, lease: int) -> list[Webhook]:
        """Claim up to `limit` due webhooks for `lease` milliseconds, those due longest first."""
        now = now_ms()
        due = sa.and_(webhooks.c.failed_at.is_(None), webhooks.c.due_at <= now)
        chosen = sa.select(webhooks.c.id).where(due).order_by(webhooks.c.due_at).limit(limit)
        async with self._db.reading() as connection:  # usually none is due, and the write lock is not needed
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
        """Delete the webhooks that are done; reschedule or park the others."""
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
        """The size of the queue, for metrics."""
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
    """The changed row. Without `due_at` it is parked; without an attempt its count is restored."""
    tried = one.error is not None
    return {
        **_which(one.webhook),
        "new_attempts": one.webhook.attempts - (not tried),
        "new_due_at": now_ms() if one.due_at is None else one.due_at,
        "new_failed_at": now_ms() if one.due_at is None else None,
        "new_error": one.error,
    }
