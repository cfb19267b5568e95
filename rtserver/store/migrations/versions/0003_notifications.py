"""Grouped, expiring and seen notifications; preferences, deliveries, webhooks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    _notifications()
    _around()


def _notifications() -> None:
    for column in (
        sa.Column("seen", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("room", sa.Text),
        sa.Column("group_key", sa.Text),
        sa.Column("count", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("digest", sa.Text),
        sa.Column("expires_at", sa.BigInteger),
        sa.Column("muted", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("notifications", column)
    for name, columns in (("group", ["user_id", "group_key"]), ("expiry", ["expires_at"])):
        given = sa.text(f"{columns[-1]} IS NOT NULL")
        op.create_index(
            f"ix_notifications_{name}", "notifications", columns, sqlite_where=given, postgresql_where=given
        )


def _around() -> None:
    op.create_table(
        "grouped_keys",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("notification_id", sa.Text, nullable=False),
        sa.Column("digest", sa.Text),
        sa.PrimaryKeyConstraint("user_id", "key", name="pk_grouped_keys"),
    )
    op.create_index("ix_grouped_keys_notification_id", "grouped_keys", ["notification_id"])
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_preferences"),
    )
    op.create_table(
        "deliveries",
        sa.Column("notification_id", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("delivered_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("notification_id", "device", name="pk_deliveries"),
    )
    op.create_index("ix_deliveries_user_id", "deliveries", ["user_id"])
    _webhooks()


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("notification_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("attempts", sa.BigInteger, nullable=False),
        sa.Column("failed_at", sa.BigInteger),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    for name, where in (("due", "failed_at IS NULL"), ("failed", "failed_at IS NOT NULL")):
        partly = sa.text(where)
        op.create_index(f"ix_webhooks_{name}", "webhooks", [f"{name}_at"], sqlite_where=partly, postgresql_where=partly)
    op.create_index("ix_webhooks_notification_id", "webhooks", ["notification_id"])
    op.create_index("ix_webhooks_user_id", "webhooks", ["user_id"])
