"""Insert: one transaction that numbers and saves notifications, by the rules of `rtserver.store.messages.append`.

1. The inbox rows are locked first, in sorted order. Keys, groups and preferences are read after that.
2. A repeated key takes no number. With another body it is a `Conflict`, and nothing of the call is saved.
3. A notification that joins a group takes over its row: the same id, the next number. A group ends when it is read.
   Muted notifications are saved as read, so a muted group does not end; it is separate from an unmuted one of its key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso
from rtserver.errors import Conflict
from rtserver.protocol import json
from rtserver.store.db.dialects import among, matches, matches_json
from rtserver.store.notifications.inbox_locks import advance_inboxes, lock_inboxes
from rtserver.store.notifications.preferences import preferences_of
from rtserver.store.notifications.records import NO_PREFERENCES, Delivered, Notification, NotificationDraft, Preferences
from rtserver.store.notifications.rows import alive, note_columns, note_of, row_of, unread
from rtserver.store.notifications.webhook_insert import WebhookOrder, queue_webhooks
from rtserver.store.schema.notifications import deliveries, grouped_keys, notifications

_Key = tuple[str, str]  # user, key
_Group = tuple[str, str, bool]  # user, group key, whether muted


@dataclass
class _Entry:
    """A row to be saved: its notification, its key and digest, and the earlier keys of its group."""

    note: Notification
    key: str | None
    digest: str | None
    former_keys: list[tuple[str, str | None]] = field(default_factory=list)


@dataclass
class Inboxes:
    """The state of the locked inboxes: last numbers, known keys, open groups and preferences."""

    last_seqs: dict[str, int]
    known: dict[_Key, tuple[Notification, str | None]] = field(default_factory=dict)
    groups: dict[_Group, _Entry] = field(default_factory=dict)
    preferences: dict[str, Preferences] = field(default_factory=dict)


@dataclass
class Numbered:
    """The results, and the rows to insert (`fresh`) and to update (`grown`): by id, with the user."""

    delivered: list[Delivered] = field(default_factory=list)
    fresh: dict[str, tuple[str, _Entry]] = field(default_factory=dict)
    grown: dict[str, tuple[str, _Entry]] = field(default_factory=dict)


async def insert_notifications(
    connection: AsyncConnection,
    drafts: Sequence[NotificationDraft],
    new_id: Callable[[], str],
    now: int,
    webhook_delay: int | None = None,
) -> list[Delivered]:
    """Insert notifications in the caller's transaction; returns the notification of each draft, in order.

    `now`: milliseconds. `webhook_delay`: milliseconds after which a webhook is due; None: no webhooks.
    """
    users = sorted({draft.user for draft in drafts})
    inboxes = Inboxes(await lock_inboxes(connection, users))
    inboxes.known = await _repeated(connection, drafts)
    inboxes.groups = await _groups(connection, drafts, now)
    inboxes.preferences = await preferences_of(connection, users)
    numbered = number(drafts, inboxes, new_id, now)
    if numbered.fresh or numbered.grown:
        await _save(connection, numbered)
        await advance_inboxes(connection, inboxes.last_seqs)
    if webhook_delay is not None:
        wanted = ((draft, one) for draft, one in zip(drafts, numbered.delivered, strict=True) if one.wanted)
        last = {one.notification.id: WebhookOrder(draft.user, one, draft.one_webhook) for draft, one in wanted}
        await queue_webhooks(connection, last.values(), inboxes.preferences, new_id, now, webhook_delay)
    return numbered.delivered


def number(drafts: Sequence[NotificationDraft], inboxes: Inboxes, new_id: Callable[[], str], now: int) -> Numbered:
    """Assign each draft its notification, in order. Pure but for `inboxes`, which it advances.

    The notification is that of its key, or that of its group, or a new one. Raises `Conflict` for a key whose first
    notification had another body.
    """
    numbering = _Numbering(inboxes, new_id, now)
    for draft in drafts:
        numbering.add(draft)
    return numbering.result


class _Numbering:
    """The loop of `number`: what it reads (`inboxes`) and what it builds (`result`)."""

    def __init__(self, inboxes: Inboxes, new_id: Callable[[], str], now: int) -> None:
        self.result = Numbered()
        self._inboxes = inboxes
        self._new_id = new_id
        self._now = now
        self._created_at = iso(now)
        moment = datetime.fromtimestamp(now / 1000, UTC)
        self._quiet = {user: given.quiet_at(moment) for user, given in inboxes.preferences.items()}

    def add(self, draft: NotificationDraft) -> None:
        digest = None if draft.key is None else digest_of(draft)
        earlier = self._inboxes.known.get((draft.user, draft.key)) if draft.key is not None else None
        if earlier is not None:
            if not draft.once and earlier[1] not in (None, digest):
                raise Conflict("Another notification of this user has the same key")
            self.result.delivered.append(Delivered(earlier[0], False, self._quiet.get(draft.user, False)))
            return
        note = self._assign(draft, digest)
        if draft.key is not None:
            self._inboxes.known[draft.user, draft.key] = (note, digest)
        late = draft.expires_at is not None and draft.expires_at <= self._now
        self.result.delivered.append(Delivered(note, True, self._quiet.get(draft.user, False), late))

    def _assign(self, draft: NotificationDraft, digest: str | None) -> Notification:
        """The notification of a draft whose key is new, with the next number of the inbox."""
        self._inboxes.last_seqs[draft.user] = seq = self._inboxes.last_seqs[draft.user] + 1
        muted = self._inboxes.preferences.get(draft.user, NO_PREFERENCES).mutes(draft)
        group = None if draft.group_key is None else (draft.user, draft.group_key, muted)
        entry = self._inboxes.groups.get(group) if group is not None else None
        if entry is not None:
            note = _note(draft, entry.note.id, seq, self._created_at, muted, entry.note.count + 1)
            self._grow(entry, draft, digest, note)
            return note
        note = _note(draft, self._new_id(), seq, self._created_at, muted, 1)
        entry = _Entry(note, draft.key, digest)
        self.result.fresh[note.id] = (draft.user, entry)
        if group is not None:
            self._inboxes.groups[group] = entry
        return note

    def _grow(self, entry: _Entry, draft: NotificationDraft, digest: str | None, note: Notification) -> None:
        """Replace what the row of a group says; its former key becomes a grouped key."""
        if entry.key is not None:
            entry.former_keys.append((entry.key, entry.digest))
        entry.note, entry.key, entry.digest = note, draft.key, digest
        if note.id not in self.result.fresh:
            self.result.grown[note.id] = (draft.user, entry)


def _note(draft: NotificationDraft, id_: str, seq: int, created_at: str, muted: bool, count: int) -> Notification:
    return Notification(
        id_, seq, draft.type, draft.message, draft.data, created_at,
        read=muted, seen=muted, count=count, group_key=draft.group_key, room=draft.room,
        expires_at=None if draft.expires_at is None else iso(draft.expires_at), muted=muted,
    )  # fmt: skip


def digest_of(draft: NotificationDraft) -> str:
    """A digest of the body: equal for two drafts with the same content, whatever their keys."""
    body = (draft.type, draft.message, draft.data, draft.group_key, draft.room, draft.expires_at)
    return blake2b(msgspec.json.encode(body, order="deterministic"), digest_size=16).hexdigest()


async def _save(connection: AsyncConnection, numbered: Numbered) -> None:
    if numbered.fresh:
        rows = [row_of(user, entry.note, entry.key, entry.digest) for user, entry in numbered.fresh.values()]
        await connection.execute(sa.insert(notifications), rows)
    if numbered.grown:
        await _grow(connection, numbered.grown)
    former_keys = [
        {"user_id": user, "key": key, "notification_id": entry.note.id, "digest": digest}
        for user, entry in (*numbered.fresh.values(), *numbered.grown.values())
        for key, digest in entry.former_keys
    ]
    if former_keys:
        await connection.execute(sa.insert(grouped_keys), former_keys)


async def _grow(connection: AsyncConnection, grown: dict[str, tuple[str, _Entry]]) -> None:
    """Update the rows of grown groups. Their receipts are deleted: no device has the new state."""
    rows = [row_of(user, entry.note, entry.key, entry.digest) for user, entry in grown.values()]
    names = [name for name in rows[0] if name not in ("user_id", "id")]
    statement = (
        sa.update(notifications)
        .where(notifications.c.id == sa.bindparam("which"))
        .values({notifications.c[name]: sa.bindparam(f"new_{name}") for name in names})
    )
    await connection.execute(
        statement, [{"which": row["id"], **{f"new_{name}": row[name] for name in names}} for row in rows]
    )
    await connection.execute(sa.delete(deliveries).where(among(connection, deliveries.c.notification_id, grown)))


async def _repeated(
    connection: AsyncConnection, drafts: Iterable[NotificationDraft]
) -> dict[_Key, tuple[Notification, str | None]]:
    """The notifications of keys that are used again, and the digests of the bodies that had those keys."""
    keys = {(draft.user, draft.key) for draft in drafts if draft.key is not None}
    if not keys:
        return {}
    text = json.dumps(list(keys)).decode()
    rows = await connection.execute(_repeated_query(connection.dialect.name), {"keys": text})
    return {(user, key): (note_of(rest), digest) for user, key, digest, *rest in rows}


@cache
def _repeated_query(dialect: str) -> sa.CompoundSelect[Any]:
    """The current notification of each of `keys`, by its own key or by one of its earlier keys."""
    text = sa.bindparam("keys", type_=sa.Text)
    own, former = (matches_json(dialect, [of.c.user_id, of.c.key], text) for of in (notifications, grouped_keys))
    current = sa.select(notifications.c.user_id, notifications.c.key, notifications.c.digest, *note_columns())
    earlier = sa.select(grouped_keys.c.user_id, grouped_keys.c.key, grouped_keys.c.digest, *note_columns())
    same = notifications.c.id == grouped_keys.c.notification_id
    return sa.union_all(current.where(own), earlier.join(notifications, same).where(former))


async def _groups(connection: AsyncConnection, drafts: Iterable[NotificationDraft], now: int) -> dict[_Group, _Entry]:
    """The latest notification of each group that can still grow."""
    wanted = {(draft.user, draft.group_key) for draft in drafts if draft.group_key is not None}
    if not wanted:
        return {}
    columns = [notifications.c.user_id, notifications.c.group_key]
    query = (
        sa.select(*columns, notifications.c.key, notifications.c.digest, *note_columns())
        .where(matches(connection, columns, wanted), alive(now), sa.or_(unread(), notifications.c.muted))
        .order_by(notifications.c.seq)
    )
    groups: dict[_Group, _Entry] = {}
    for user, group_key, key, digest, *rest in await connection.execute(query):
        note = note_of(rest)
        groups[user, group_key, note.muted] = _Entry(note, key, digest)
    return groups
