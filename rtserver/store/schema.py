"""The tables as the code uses them. `migrations/` makes them; a test keeps the two the same.

1. `rooms.last_seq` and `inboxes.last_seq` are the only sources of sequence numbers. Whoever takes one holds that row
   until the end of its transaction; that is what makes them gapless.
2. Times are milliseconds since the epoch.
"""

from __future__ import annotations

import sqlalchemy as sa

from rtserver.store.columns import Int, JsonText, Key, PlainText

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

rooms = sa.Table(
    "rooms",
    metadata,
    sa.Column("room", Key, primary_key=True),
    sa.Column("last_seq", Int, nullable=False),
    sa.Column("active_at", Int, nullable=False),
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

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("room", Key, sa.ForeignKey(rooms.c.room), primary_key=True),
    sa.Column("seq", Int, primary_key=True, autoincrement=False),
    sa.Column("id", Key, nullable=False),
    sa.Column("author_id", Key, nullable=False),
    sa.Column("author_name", PlainText, nullable=False),
    sa.Column("text", PlainText, nullable=False),
    sa.Column("nonce", Key),
    sa.Column("reply_to", Key),
    sa.Column("data", JsonText),
    sa.Column("sent_at", Int, nullable=False),
    sa.Index(None, "id", unique=True),
    sa.Index(None, "author_id", "room", "seq"),
    sa.Index(
        "ix_messages_nonce",
        "author_id",
        "room",
        "nonce",
        unique=True,
        sqlite_where=sa.text("nonce IS NOT NULL"),
        postgresql_where=sa.text("nonce IS NOT NULL"),
    ),
)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("room", Key, sa.ForeignKey(rooms.c.room), primary_key=True),
    sa.Column("user_id", Key, primary_key=True),
    sa.Column("seq", Int, nullable=False),
)

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
    sa.Column("type", PlainText, nullable=False),
    sa.Column("message", PlainText, nullable=False),
    sa.Column("data", JsonText),
    sa.Column("key", Key),
    sa.Column("created_at", Int, nullable=False),
    sa.Column("read", sa.Boolean, nullable=False),
    sa.Index(None, "id", unique=True),
    sa.Index(
        "ix_notifications_unread",
        "user_id",
        "seq",
        sqlite_where=sa.text("NOT read"),
        postgresql_where=sa.text("NOT read"),
    ),
    sa.Index(
        "ix_notifications_key",
        "user_id",
        "key",
        unique=True,
        sqlite_where=sa.text("key IS NOT NULL"),
        postgresql_where=sa.text("key IS NOT NULL"),
    ),
)
