"""Tables of notifications: inboxes, notifications, preferences, receipts and the webhook queue.

1. The latest key of a group stands in its notification, the earlier ones in `grouped_keys`.
2. `webhooks.due_at` is also the end of the lease: it lies in the future while a server delivers the webhook.
"""

from __future__ import annotations

import sqlalchemy as sa

from rtserver.store.db.column_types import Int, JsonText, Key, PlainText
from rtserver.store.schema.metadata import metadata

inboxes = sa.Table(
    "inboxes",
    metadata,
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("last_seq", Int, nullable=False),
)

notifications = sa.Table(
    "notifications",
    metadata,
    sa.Column("user_id", Key, sa.ForeignKey(inboxes.c.user_id), primary_key=True),
    sa.Column("seq", Int, primary_key=True, autoincrement=False),
    sa.Column("id", Key, nullable=False),
    sa.Column("type", Key, nullable=False),
    sa.Column("message", PlainText, nullable=False),
    sa.Column("data", JsonText),
    sa.Column("key", Key),
    sa.Column("created_at", Int, nullable=False),
    sa.Column("read", sa.Boolean, nullable=False),
    sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("room", Key),
    sa.Column("group_key", Key),
    sa.Column("count", Int, nullable=False, server_default="1"),
    sa.Column("digest", Key),
    sa.Column("expires_at", Int),
    sa.Column("muted", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "id", unique=True),
    sa.Index(
        "ix_notifications_group",
        "user_id",
        "group_key",
        sqlite_where=sa.text("group_key IS NOT NULL"),
    ),
    sa.Index(
        "ix_notifications_expiry",
        "expires_at",
        sqlite_where=sa.text("expires_at IS NOT NULL"),
    ),
    sa.Index(
        "ix_notifications_unread",
        "user_id",
        "seq",
        sqlite_where=sa.text("NOT read"),
    ),
    sa.Index(
        "ix_notifications_key",
        "user_id",
        "key",
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
    ),
)

grouped_keys = sa.Table(
    "grouped_keys",
    metadata,
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("key", Key, primary_key=True),
    sa.Column("notification_id", Key, nullable=False),
    sa.Column("digest", Key),
    sa.Index(None, "notification_id"),
)

preferences = sa.Table(
    "preferences",
    metadata,
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("value", JsonText, nullable=False),
    sa.Column("updated_at", Int, nullable=False),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("notification_id", Key, primary_key=True),
    sa.Column("device", Key, primary_key=True),
    sa.Column("user_id", Key, nullable=False),
    sa.Column("delivered_at", Int, nullable=False),
    sa.Index(None, "user_id"),
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("user_id", Key, nullable=False),
    sa.Column("notification_id", Key, nullable=False),
    sa.Column("body", JsonText, nullable=False),
    sa.Column("created_at", Int, nullable=False),
    sa.Column("due_at", Int, nullable=False),
    sa.Column("attempts", Int, nullable=False),
    sa.Column("failed_at", Int),
    sa.Column("error", PlainText),
    sa.Index(
        "ix_webhooks_due",
        "due_at",
        sqlite_where=sa.text("failed_at IS NULL"),
    ),
    sa.Index(
        "ix_webhooks_failed",
        "failed_at",
        sqlite_where=sa.text("failed_at IS NOT NULL"),
    ),
    sa.Index(None, "notification_id"),
    sa.Index(None, "user_id"),
)
