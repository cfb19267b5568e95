"""Tables of ingest: scheduled commands, and the idempotency keys of backends.

1. The server that executes scheduled items is their `owner` until `held_until` (a lease). Without an owner,
   `held_until` is the time of the next attempt.
2. The row of a key is inserted before its request is executed, so that two bodies never share a key.
"""

from __future__ import annotations

import sqlalchemy as sa

from rtserver.store.db.column_types import Int, JsonText, Key, PlainText
from rtserver.store.schema.metadata import metadata

_WAITING = sa.text("failed_at IS NULL")

scheduled = sa.Table(
    "scheduled",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("kind", Key, nullable=False),
    sa.Column("body", JsonText, nullable=False),
    sa.Column("key", Key),
    sa.Column("due_at", Int, nullable=False),
    sa.Column("created_at", Int, nullable=False),
    sa.Column("attempts", Int, nullable=False),
    sa.Column("owner", Key),
    sa.Column("held_until", Int),
    sa.Column("failed_at", Int),
    sa.Column("error", PlainText),
    sa.Index("ix_scheduled_waiting", "due_at", "id", sqlite_where=_WAITING),
    sa.Index(
        "ix_scheduled_failed",
        "failed_at",
        sqlite_where=sa.text("failed_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_scheduled_owner",
        "owner",
        sqlite_where=sa.text("owner IS NOT NULL"),
    ),
    sa.Index(
        "ix_scheduled_key",
        "kind",
        "key",
        sqlite_where=sa.text("key IS NOT NULL"),
    ),
)

requests = sa.Table(
    "requests",
    metadata,
    sa.Column("kind", Key, primary_key=True),
    sa.Column("key", Key, primary_key=True),
    sa.Column("digest", Key, nullable=False),
    sa.Column("answer", JsonText),
    sa.Column("created_at", Int, nullable=False),
    sa.Index(None, "created_at"),
)
