"""Tables of the chat: rooms, members, messages, reactions, read cursors, uploads and the audit log."""

from __future__ import annotations

import sqlalchemy as sa

from rtserver.store.db.column_types import Int, JsonText, Key, PlainText
from rtserver.store.schema.metadata import metadata

KEPT = sa.text("keep_seconds IS NOT NULL OR keep_count IS NOT NULL")
"""The condition for rooms with a retention limit."""

rooms = sa.Table(
    "rooms",
    metadata,
    sa.Column("room", Key, primary_key=True),
    sa.Column("last_seq", Int, nullable=False),
    sa.Column("active_at", Int, nullable=False),
    sa.Column("first_seq", Int, nullable=False, server_default="1"),
    sa.Column("last_rev", Int, nullable=False, server_default="0"),
    sa.Column("policy", Key),
    sa.Column("meta", JsonText),
    sa.Column("keep_seconds", Int),
    sa.Column("keep_count", Int),
    sa.Column("slow_seconds", Int),
    sa.Column("read_only", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index("ix_rooms_kept", "room", sqlite_where=KEPT),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("room", Key, sa.ForeignKey(rooms.c.room), primary_key=True),
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("name", PlainText, nullable=False),
    sa.Column("joined_at", Int, nullable=False),
    sa.Index(None, "user_id"),
)


def _partly(name: str, column: str) -> sa.Index:
    """A partial index on the few messages that have a value in `column`."""
    given = sa.text(f"{column} IS NOT NULL")
    return sa.Index(name, "room", "seq", sqlite_where=given)


messages = sa.Table(
    "messages",
    metadata,
    sa.Column("room", Key, sa.ForeignKey(rooms.c.room), primary_key=True),
    sa.Column("seq", Int, primary_key=True, autoincrement=False),
    sa.Column("id", Key, nullable=False),
    sa.Column("author_id", Key, nullable=False),
    sa.Column("author_name", PlainText, nullable=False),
    sa.Column("text", PlainText, nullable=False),
    sa.Column("words", PlainText),
    sa.Column("nonce", Key),
    sa.Column("reply_to", Key),
    sa.Column("data", JsonText),
    sa.Column("sent_at", Int, nullable=False),
    sa.Column("mentions", JsonText),
    sa.Column("rev", Int),
    sa.Column("edited_at", Int),
    sa.Column("deleted_at", Int),
    sa.Column("deleted_by", Key),
    sa.Index(None, "id", unique=True),
    sa.Index(
        "ix_messages_rev",
        "room",
        "rev",
        unique=True,
        sqlite_where=sa.text("rev IS NOT NULL"),
    ),
    _partly("ix_messages_deleted", "deleted_at"),
    _partly("ix_messages_mentioning", "mentions"),
    sa.Index(None, "author_id", "room", "seq"),
    sa.Index(
        "ix_messages_deleted_by",
        "deleted_by",
        sqlite_where=sa.text("deleted_by IS NOT NULL"),
    ),
    sa.Index(
        "ix_messages_nonce",
        "author_id",
        "room",
        "nonce",
        unique=True,
        sqlite_where=sa.text("nonce IS NOT NULL"),
    ),
)

reactions = sa.Table(
    "reactions",
    metadata,
    sa.Column("room", Key, primary_key=True),
    sa.Column("seq", Int, primary_key=True, autoincrement=False),
    sa.Column("emoji", Key, primary_key=True),
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("reacted_at", Int, nullable=False),
    sa.ForeignKeyConstraint(["room", "seq"], ["messages.room", "messages.seq"], name="fk_reactions_message"),
    sa.Index(None, "user_id"),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("at", Int, nullable=False),
    sa.Column("actor", Key, nullable=False),
    sa.Column("action", Key, nullable=False),
    sa.Column("room", Key),
    sa.Column("target", Key),
    sa.Column("details", JsonText),
    sa.Index(None, "room", "at"),
    sa.Index(None, "at"),
    sa.Index(None, "actor"),
    sa.Index(None, "target"),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("owner", Key, nullable=False),
    sa.Column("name", PlainText, nullable=False),
    sa.Column("type", PlainText, nullable=False),
    sa.Column("size", Int, nullable=False),
    sa.Column("created_at", Int, nullable=False),
    sa.Index(None, "owner"),
)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("room", Key, sa.ForeignKey(rooms.c.room), primary_key=True),
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("seq", Int, nullable=False),
    sa.Index(None, "user_id"),
)
