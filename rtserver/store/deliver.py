"""One transaction that puts notifications into inboxes: `append` for users in place of rooms, by the same rules.

1. The rows of the inboxes are locked first, in sorted order. 2. Keys are looked up after that. 3. A repeat takes no
number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.clock import iso
from rtserver.store.engines import insert_into, matches
from rtserver.store.records import Notification, NotificationDraft
from rtserver.store.schema import inboxes, notifications

Delivered = tuple[Notification, bool]
_Key = tuple[str, str]  # user, key


async def deliver(
    connection: AsyncConnection, drafts: Sequence[NotificationDraft], new_id: Callable[[], str], now: int
) -> list[Delivered]:
    """The notification of each draft and whether it is new, in order."""
    last_seqs = await lock_inboxes(connection, sorted({draft.user for draft in drafts}))
    known = await _repeated(connection, drafts)
    delivered = number(drafts, last_seqs, known, new_id, iso(now))
    fresh = [(draft, note) for draft, (note, new) in zip(drafts, delivered, strict=True) if new]
    if fresh:
        await connection.execute(sa.insert(notifications), [_row(draft, note, now) for draft, note in fresh])
        await _advance_inboxes(connection, {draft.user: note.seq for draft, note in fresh})
    return delivered


def number(
    drafts: Sequence[NotificationDraft],
    last_seqs: dict[str, int],
    known: dict[_Key, Notification],
    new_id: Callable[[], str],
    created_at: str,
) -> list[Delivered]:
    """Give each draft its notification: the known one of its key, or the next of its user. Advances both mappings."""
    delivered: list[Delivered] = []
    for draft in drafts:
        key = _key(draft)
        if key is not None and key in known:
            delivered.append((known[key], False))
            continue
        last_seqs[draft.user] = seq = last_seqs[draft.user] + 1
        note = Notification(new_id(), seq, draft.type, draft.message, draft.data, created_at, read=False)
        if key is not None:
            known[key] = note
        delivered.append((note, True))
    return delivered


async def lock_inboxes(connection: AsyncConnection, users: Sequence[str]) -> dict[str, int]:
    """Make the inboxes that are missing, lock all, and return the last number of each. `users` must be sorted."""
    statement = insert_into(connection, inboxes)
    locking = statement.on_conflict_do_update(
        index_elements=[inboxes.c.user_id], set_={"last_seq": inboxes.c.last_seq}
    ).returning(inboxes.c.user_id, inboxes.c.last_seq)
    rows = await connection.execute(locking, [{"user_id": user, "last_seq": 0} for user in users])
    return {row.user_id: row.last_seq for row in rows}


def note_columns() -> list[sa.ColumnElement[Any]]:
    """The columns that `note_of` takes, in its order."""
    names = ("id", "seq", "type", "message", "data", "created_at", "read")
    return [notifications.c[name] for name in names]


def note_of(row: Sequence[Any]) -> Notification:
    id_, seq, type_, message, data, created_at, read = row
    return Notification(id_, seq, type_, message, data, iso(created_at), read)


async def _repeated(
    connection: AsyncConnection, drafts: Sequence[NotificationDraft]
) -> dict[_Key, Notification]:
    keys = {key for draft in drafts if (key := _key(draft)) is not None}
    if not keys:
        return {}
    wanted = matches(connection, [notifications.c.user_id, notifications.c.key], keys)
    query = sa.select(notifications.c.user_id, notifications.c.key, *note_columns()).where(wanted)
    return {(user, key): note_of(rest) for user, key, *rest in await connection.execute(query)}


async def _advance_inboxes(connection: AsyncConnection, last_seqs: dict[str, int]) -> None:
    statement = (
        sa.update(inboxes)
        .where(inboxes.c.user_id == sa.bindparam("user"))
        .values(last_seq=sa.bindparam("last"))
    )
    await connection.execute(statement, [{"user": user, "last": last} for user, last in last_seqs.items()])


def _key(draft: NotificationDraft) -> _Key | None:
    return None if draft.key is None else (draft.user, draft.key)


def _row(draft: NotificationDraft, note: Notification, now: int) -> dict[str, Any]:
    return {
        "user_id": draft.user,
        "seq": note.seq,
        "id": note.id,
        "type": note.type,
        "message": note.message,
        "data": note.data,
        "key": draft.key,
        "created_at": now,
        "read": False,
    }
