"""Rooms, members, messages, receipts, inboxes, notifications."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _rooms()
    _messages()
    _notifications()


def _rooms() -> None:
    op.create_table(
        "rooms",
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.Column("active_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("room", name="pk_rooms"),
    )
    op.create_table(
        "members",
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("joined_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("room", "user_id", name="pk_members"),
        sa.ForeignKeyConstraint(["room"], ["rooms.room"], name="fk_members_room"),
    )
    op.create_index("ix_members_user_id", "members", ["user_id"])
    op.create_table(
        "receipts",
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("room", "user_id", name="pk_receipts"),
        sa.ForeignKeyConstraint(["room"], ["rooms.room"], name="fk_receipts_room"),
    )


def _messages() -> None:
    op.create_table(
        "messages",
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("author_id", sa.Text, nullable=False),
        sa.Column("author_name", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("nonce", sa.Text),
        sa.Column("reply_to", sa.Text),
        sa.Column("data", sa.Text),
        sa.Column("sent_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", name="pk_messages"),
        sa.ForeignKeyConstraint(["room"], ["rooms.room"], name="fk_messages_room"),
    )
    op.create_index("ix_messages_id", "messages", ["id"], unique=True)
    op.create_index("ix_messages_author_id_room_seq", "messages", ["author_id", "room", "seq"])
    _unique_where("ix_messages_nonce", "messages", ["author_id", "room", "nonce"], "nonce IS NOT NULL")


def _notifications() -> None:
    op.create_table(
        "inboxes",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("last_seq", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_inboxes"),
    )
    op.create_table(
        "notifications",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("data", sa.Text),
        sa.Column("key", sa.Text),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("read", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "seq", name="pk_notifications"),
        sa.ForeignKeyConstraint(["user_id"], ["inboxes.user_id"], name="fk_notifications_user_id"),
    )
    op.create_index("ix_notifications_id", "notifications", ["id"], unique=True)
    unread = sa.text("NOT read")
    op.create_index(
        "ix_notifications_unread",
        "notifications",
        ["user_id", "seq"],
        sqlite_where=unread,
        postgresql_where=unread,
    )
    _unique_where("ix_notifications_key", "notifications", ["user_id", "key"], "key IS NOT NULL")


def _unique_where(name: str, table: str, columns: list[str], where: str) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=True, sqlite_where=condition, postgresql_where=condition)
