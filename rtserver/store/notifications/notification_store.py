"""Notification store: the inbox of each user. Saved before anything is pushed, so that offline users find them later.

Knows nothing of pushing notifications to devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.answer_size import ANSWER_BYTES, fitting
from rtserver.clock import iso, now_ms
from rtserver.errors import InvalidPayload, NotFound
from rtserver.store.db.column_types import MAX_INT, checked_key
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.db.ids import Ids
from rtserver.store.db.page_size import octets, room_for, within_room
from rtserver.store.notifications.batches import (
    NotificationBatch,
    Outcome,
    checked_batch,
    checked_draft,
    drafts_of,
    enter_keys,
    outcomes_of,
)
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.insert import insert_notifications
from rtserver.store.notifications.records import Delivered, Notification, NotificationDraft, Receipt, Unread
from rtserver.store.notifications.removal import remove_dependents
from rtserver.store.notifications.rows import alive, note_columns, note_of, unread
from rtserver.store.notifications.unread_counts import count_of
from rtserver.store.schema.notifications import deliveries, inboxes, notifications

MAX_PAGE = 10_000

_Page = tuple[list[Notification], bool]
_Delivered = list[Delivered]
_Outcomes = list[Outcome]
_Ids = list[str]


class Notifications:
    """Inboxes of all users. All methods raise `Unavailable`.

    `webhook_delay`: seconds after which the webhook of a new notification is due; None: no webhooks.
    """

    def __init__(self, db: Database, *, webhook_delay: float | None = None) -> None:
        self._db = db
        self._ids = Ids()
        self._webhook_delay = None if webhook_delay is None else round(webhook_delay * 1000)

    async def add(self, drafts: Sequence[NotificationDraft]) -> _Delivered:
        """Save all drafts or none; returns one result per draft: a new one, or the first one of its user and key.

        Raises `Conflict` where that first one has another body, `InvalidPayload` for values that cannot be stored.
        """
        checked = list(map(checked_draft, drafts))
        if not checked:
            return []
        async with self._db.transaction() as connection:
            return await insert_notifications(connection, checked, self._ids, now_ms(), self._webhook_delay)

    async def save_batches(self, batches: Sequence[NotificationBatch]) -> _Outcomes:
        """Save batches in one transaction, each whole and with its key. Returns one outcome per batch, in order.

        Raises what `add` raises, for any of them; then none is saved.
        """
        checked, now = list(map(checked_batch, batches)), now_ms()
        async with self._db.transaction() as connection:
            entered = await enter_keys(connection, checked, now)
            drafts = drafts_of(entered)
            saved = (
                await insert_notifications(connection, drafts, self._ids, now, self._webhook_delay) if drafts else []
            )
        return outcomes_of(entered, saved)

    async def list(
        self, user: str, *, before: int | None = None, limit: int = 50, unread: bool = False, type: str | None = None
    ) -> _Page:
        """A page, newest first, and whether there are older ones. `before`: a `seq`, exclusive.

        It ends before `limit` where the bytes of an answer do.
        """
        async with self._db.reading() as connection:
            query = _page(connection.dialect.name, user, before, limit, unread, type)
            rows = (await connection.execute(query, room_for(ANSWER_BYTES))).all()
        page = fitting([note_of(row[:-1]) for row in rows[:limit]])
        return [*page], bool(rows) and rows[0].found > len(page)

    async def still_unread(self, id_: str) -> Notification | None:
        """The notification as it is now; None where it was read or deleted, or has expired."""
        async with self._db.reading() as connection:
            query = sa.select(*note_columns()).where(notifications.c.id == id_, unread(), alive(now_ms()))
            row = (await connection.execute(query)).first()
            return None if row is None else note_of(row)

    async def find(self, id_: str) -> tuple[str, Notification, tuple[Receipt, ...]]:
        """The user, the notification as it is now, and its receipts; raises `NotFound`."""
        async with self._db.reading() as connection:
            query = sa.select(notifications.c.user_id, *note_columns()).where(notifications.c.id == checked_key(id_))
            row = (await connection.execute(query)).first()
            if row is None:
                raise NotFound("There is no such notification")
            received = sa.select(deliveries.c.device, deliveries.c.delivered_at)
            received = received.where(deliveries.c.notification_id == id_).order_by(deliveries.c.delivered_at)
            receipts = tuple(Receipt(device, iso(at)) for device, at in await connection.execute(received))
        user, *rest = row
        return user, note_of(rest), receipts

    async def mark_read(self, user: str, ids: _Ids | None, up_to: int | None = None) -> tuple[_Ids, Unread]:
        """Mark `ids` (None: all, or all up to `up_to`) as read; returns the ids that were unread, and what still is."""
        return await self._mark(user, ids, up_to, {"read": True, "seen": True}, sa.true())

    async def mark_seen(self, user: str, ids: _Ids | None, up_to: int | None = None) -> tuple[_Ids, Unread]:
        """Mark `ids` (None: all, or all up to `up_to`) as seen; returns the ids that were unseen, and unread counts."""
        return await self._mark(user, ids, up_to, {"seen": True}, sa.not_(notifications.c.seen))

    async def _mark(
        self, user: str, ids: _Ids | None, up_to: int | None, values: dict[str, bool], due: sa.ColumnElement[bool]
    ) -> tuple[_Ids, Unread]:
        mine = sa.and_(notifications.c.user_id == checked_key(user), unread(), due)
        if up_to is not None:
            mine = sa.and_(mine, notifications.c.seq <= up_to)
        async with self._db.reading() as connection:  # often nothing is to be marked, and no lock is needed
            if (await connection.execute(sa.select(notifications.c.id).where(mine).limit(1))).first() is None:
                return [], await count_of(connection, user)
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [user])
            marking = sa.update(notifications).where(mine, _among(connection, ids)).values(values)
            changed = (await connection.execute(marking.returning(notifications.c.id))).scalars()
            return sorted(changed), await count_of(connection, user)

    async def delete(self, user: str, ids: _Ids) -> tuple[int, Unread]:
        """Delete notifications; returns how many existed, and what is still unread."""
        if not ids:
            return 0, await self.counts(user)
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [user])
            mine = sa.and_(notifications.c.user_id == user, _among(connection, ids))
            done = await connection.execute(sa.delete(notifications).where(mine).returning(notifications.c.id))
            removed = list(done.scalars())
            await remove_dependents(connection, removed)
            return len(removed), await count_of(connection, user)

    async def counts(self, user: str) -> Unread:
        """Unread counts, also of the most frequent types."""
        async with self._db.reading() as connection:
            return await count_of(connection, user)

    async def unread(self, user: str) -> int:
        """How many of the user's notifications are unread."""
        return (await self.counts(user)).count

    async def open_inbox(self, user: str) -> Unread:
        """Unread counts; creates the inbox, so that the user receives notifications to everyone."""
        async with self._db.reading() as connection:
            known = sa.select(inboxes.c.last_seq).where(inboxes.c.user_id == checked_key(user))
            if (await connection.execute(known)).first() is not None:
                return await count_of(connection, user)
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [user])
        return Unread()


def _page(
    dialect: str, user: str, before: int | None, limit: int, only_unread: bool, type_: str | None
) -> sa.Select[Any]:
    if not 0 < limit <= MAX_PAGE:
        raise InvalidPayload(f"limit must be 1 to {MAX_PAGE}")
    if before is not None and not 0 <= before <= MAX_INT:
        raise InvalidPayload("before must be a sequence number")
    size = octets(dialect, notifications.c.message, notifications.c.data).label("size")
    near = sa.select(notifications.c.seq, size).where(notifications.c.user_id == checked_key(user), alive(now_ms()))
    if before is not None:
        near = near.where(notifications.c.seq < before)
    if only_unread:
        near = near.where(unread())
    if type_ is not None:
        near = near.where(notifications.c.type == checked_key(type_))
    near = near.order_by(notifications.c.seq.desc()).limit(limit + 1)
    fit = within_room(near, lambda rows: [rows.seq.desc()])
    same = sa.and_(notifications.c.user_id == checked_key(user), notifications.c.seq == fit.c.seq)
    query = sa.select(*note_columns(), fit.c.found).select_from(fit).join(notifications, same)
    return query.order_by(fit.c.seq.desc())


def _among(connection: AsyncConnection, ids: _Ids | None) -> sa.ColumnElement[bool]:
    return sa.true() if ids is None else among(connection, notifications.c.id, map(checked_key, ids))
