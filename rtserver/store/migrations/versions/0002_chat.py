"""Room settings, changed messages, reactions, the audit log, uploads."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    _rooms()
    _messages()
    _around()


def _rooms() -> None:
    for column in (
        sa.Column("first_seq", sa.BigInteger, nullable=False, server_default="1"),
        sa.Column("last_rev", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("policy", sa.Text),
        sa.Column("meta", sa.Text),
        sa.Column("keep_seconds", sa.BigInteger),
        sa.Column("keep_count", sa.BigInteger),
        sa.Column("slow_seconds", sa.BigInteger),
        sa.Column("read_only", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("rooms", column)
    _index_where("ix_rooms_kept", "rooms", ["room"], "keep_seconds IS NOT NULL OR keep_count IS NOT NULL")
    op.create_index("ix_receipts_user_id", "receipts", ["user_id"])


def _messages() -> None:
    for column in (
        sa.Column("mentions", sa.Text),
        sa.Column("rev", sa.BigInteger),
        sa.Column("edited_at", sa.BigInteger),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("deleted_by", sa.Text),
    ):
        op.add_column("messages", column)
    _index_where("ix_messages_deleted_by", "messages", ["deleted_by"], "deleted_by IS NOT NULL")
    changed = sa.text("rev IS NOT NULL")
    op.create_index(
        "ix_messages_rev", "messages", ["room", "rev"], unique=True, sqlite_where=changed, postgresql_where=changed
    )
    for name, having in (("deleted", "deleted_at"), ("mentioning", "mentions")):
        given = sa.text(f"{having} IS NOT NULL")
        op.create_index(f"ix_messages_{name}", "messages", ["room", "seq"], sqlite_where=given, postgresql_where=given)
    op.create_table(
        "reactions",
        sa.Column("room", sa.Text, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("emoji", sa.Text, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("reacted_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("room", "seq", "emoji", "user_id", name="pk_reactions"),
        sa.ForeignKeyConstraint(["room", "seq"], ["messages.room", "messages.seq"], name="fk_reactions_message"),
    )
    op.create_index("ix_reactions_user_id", "reactions", ["user_id"])


def _around() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("room", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("details", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_room_at", "audit", ["room", "at"])
    for column in ("at", "actor", "target"):
        op.create_index(f"ix_audit_{column}", "audit", [column])
    op.create_table(
        "uploads",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
    )
    op.create_index("ix_uploads_owner", "uploads", ["owner"])


def _index_where(name: str, table: str, columns: list[str], condition: str) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)
