"""Each user's inbox of notifications: saved first, so that whoever is offline finds them later.

Knows nothing of pushing them to devices.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import InvalidPayload
from rtserver.store.clock import now_ms
from rtserver.store.columns import MAX_INT, checked_key, checked_text, plain_json
from rtserver.store.database import Database
from rtserver.store.deliver import Delivered, deliver, lock_inboxes, note_columns, note_of
from rtserver.store.engines import matches
from rtserver.store.ids import Ids
from rtserver.store.records import Notification, NotificationDraft
from rtserver.store.schema import notifications

MAX_PAGE = 10_000

_Page = tuple[list[Notification], bool]
_Delivered = list[Delivered]
_Ids = list[str]


class Notifications:
    def __init__(self, db: Database) -> None:
        self._db = db
        self._ids = Ids()

    async def add(self, drafts: Sequence[NotificationDraft]) -> _Delivered:
        """Save all of them or none. Each comes back with True, or the first one of its user and key with False."""
        checked = [_checked(draft) for draft in drafts]
        if not checked:
            return []
        async with self._db.transaction() as connection:
            return await deliver(connection, checked, self._ids, now_ms())

    async def list(
        self, user: str, *, before: int | None = None, limit: int = 50, unread: bool = False
    ) -> _Page:
        """Newest first, and whether there are older ones. `before`: a `seq`, exclusive."""
        query = _page(user, before, limit, unread)
        async with self._db.reading() as connection:
            found = [note_of(row) for row in await connection.execute(query)]
        return found[:limit], len(found) > limit

    async def mark_read(self, user: str, ids: _Ids | None) -> tuple[_Ids, int]:
        """Mark these (None: all) as read; return the ids that were unread, oldest first, and how many still are."""
        if not await self.unread(user):
            return [], 0
        unread = sa.and_(notifications.c.user_id == user, sa.not_(notifications.c.read))
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [user])
            marking = sa.update(notifications).where(unread, _among(connection, ids)).values(read=True)
            changed = (await connection.execute(marking.returning(notifications.c.id))).scalars()
            return sorted(changed), await _unread(connection, user)

    async def delete(self, user: str, ids: _Ids) -> tuple[int, int]:
        """Delete these; return how many there were, and how many notifications are still unread."""
        if not ids:
            return 0, await self.unread(user)
        async with self._db.transaction() as connection:
            await lock_inboxes(connection, [user])
            mine = sa.and_(notifications.c.user_id == user, _among(connection, ids))
            done = await connection.execute(sa.delete(notifications).where(mine))
            return done.rowcount, await _unread(connection, user)

    async def unread(self, user: str) -> int:
        """How many of the user's notifications are unread."""
        async with self._db.reading() as connection:
            return await _unread(connection, user)


def _page(user: str, before: int | None, limit: int, unread: bool) -> sa.Select[tuple[object, ...]]:
    if not 0 < limit <= MAX_PAGE:
        raise InvalidPayload(f"limit must be 1 to {MAX_PAGE}")
    if before is not None and not 0 <= before <= MAX_INT:
        raise InvalidPayload("before must be a sequence number")
    query = sa.select(*note_columns()).where(notifications.c.user_id == checked_key(user))
    if before is not None:
        query = query.where(notifications.c.seq < before)
    if unread:
        query = query.where(sa.not_(notifications.c.read))
    return query.order_by(notifications.c.seq.desc()).limit(limit + 1)


def _among(connection: AsyncConnection, ids: _Ids | None) -> sa.ColumnElement[bool]:
    if ids is None:
        return sa.true()
    one = sa.select(notifications.c.id).where(
        matches(connection, [notifications.c.id], ((checked_key(id_),) for id_ in ids))
    )
    return notifications.c.id.in_(one)


async def _unread(connection: AsyncConnection, user: str) -> int:
    query = sa.select(sa.func.count()).select_from(notifications)
    found = await connection.execute(query.where(notifications.c.user_id == user, sa.not_(notifications.c.read)))
    return int(found.scalar_one())


def _checked(draft: NotificationDraft) -> NotificationDraft:
    """The draft as it will be read back."""
    return NotificationDraft(
        checked_key(draft.user),
        checked_text(draft.type),
        checked_text(draft.message),
        plain_json(draft.data),
        None if draft.key is None else checked_key(draft.key),
    )
