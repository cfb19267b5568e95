"""Rows of the table `notifications`: conversion to and from records, and the conditions that queries share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from rtserver.clock import from_iso, iso
from rtserver.store.notifications.records import Notification
from rtserver.store.schema.notifications import notifications

_COLUMNS = (
    "id", "seq", "type", "message", "data", "created_at", "read", "seen", "count", "group_key", "room", "expires_at",
    "muted",
)  # fmt: skip


def unread() -> sa.ColumnElement[bool]:
    """Unread notifications. Written exactly as in the partial index, because SQLite compares the text."""
    return sa.literal_column("NOT notifications.read", sa.Boolean)


def alive(now: int) -> sa.ColumnElement[bool]:
    """Notifications that have not expired. `now`: milliseconds."""
    return sa.or_(notifications.c.expires_at.is_(None), notifications.c.expires_at > now)


def note_columns() -> list[sa.ColumnElement[Any]]:
    """The columns of a row for `note_of`, in its order."""
    return [notifications.c[name] for name in _COLUMNS]


def note_of(row: Sequence[Any]) -> Notification:
    """The notification of a row with `note_columns`."""
    values = dict(zip(_COLUMNS, row, strict=True))
    expires_at = values["expires_at"]
    return Notification(
        **values
        | {"created_at": iso(values["created_at"]), "expires_at": None if expires_at is None else iso(expires_at)}
    )


def row_of(user: str, note: Notification, key: str | None, digest: str | None) -> dict[str, Any]:
    """The row of a notification."""
    values = {name: getattr(note, name) for name in _COLUMNS}
    values["created_at"] = from_iso(note.created_at)
    values["expires_at"] = from_iso(note.expires_at) if note.expires_at else None
    return {"user_id": user, "key": key, "digest": digest, **values}
