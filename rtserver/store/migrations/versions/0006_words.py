"""Search in scripts without spaces: `messages.words` has the text with pairs of their letters, where it has any.

See `rtserver.store.messages.search_tokens`, and 0005 for how the index is maintained.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rtserver.store.messages.search_tokens import index_tokens

revision = "0006"
down_revision = "0005"

_BATCH = 1000
_DROP_TRIGGERS = ("DROP TRIGGER search_added", "DROP TRIGGER search_changed", "DROP TRIGGER search_removed")
_TRIGGERS = (
    """CREATE TRIGGER search_added AFTER INSERT ON messages WHEN new.deleted_at IS NULL BEGIN
        INSERT INTO search_docs (id) VALUES (new.id);
        INSERT INTO search_words (rowid, text, room)
            VALUES (last_insert_rowid(), coalesce(new.words, new.text), lower(hex(new.room)));
    END""",
    """CREATE TRIGGER search_changed AFTER UPDATE OF text, words, deleted_at ON messages BEGIN
        INSERT INTO search_words (search_words, rowid, text, room)
            SELECT 'delete', doc, coalesce(old.words, old.text), lower(hex(old.room))
            FROM search_docs WHERE id = old.id;
        DELETE FROM search_docs WHERE id = old.id AND new.deleted_at IS NOT NULL;
        INSERT INTO search_words (rowid, text, room)
            SELECT doc, coalesce(new.words, new.text), lower(hex(new.room)) FROM search_docs WHERE id = new.id;
    END""",
    """CREATE TRIGGER search_removed AFTER DELETE ON messages BEGIN
        INSERT INTO search_words (search_words, rowid, text, room)
            SELECT 'delete', doc, coalesce(old.words, old.text), lower(hex(old.room))
            FROM search_docs WHERE id = old.id;
        DELETE FROM search_docs WHERE id = old.id;
    END""",
)
_DROP_INDEX = ("DROP INDEX ix_messages_search",)
_INDEX = (
    r"""CREATE INDEX ix_messages_search ON messages USING gin (to_tsvector('simple', translate(
    coalesce(words, text), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')))""",
    # Without statistics of the words the planner takes the index for useless, until enough has changed by itself.
    "ANALYZE messages",
)


def upgrade() -> None:
    connection = op.get_bind()
    sqlite = connection.dialect.name == "sqlite"
    _run(connection, _DROP_TRIGGERS if sqlite else _DROP_INDEX)
    op.add_column("messages", sa.Column("words", sa.Text))
    if sqlite:
        _run(connection, _TRIGGERS)  # they put into the index what is filled in
        _fill(connection)
    else:
        _fill(connection)
        _run(connection, _INDEX)


def _run(connection: sa.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(sa.text(statement.replace(":", r"\:")))


def _fill(connection: sa.Connection) -> None:
    """Fill the column for existing messages."""
    page = sa.text("SELECT id, text FROM messages WHERE id > :after ORDER BY id LIMIT :limit")
    change = sa.text("UPDATE messages SET words = :words WHERE id = :id")
    after = ""
    while rows := connection.execute(page, {"after": after, "limit": _BATCH}).all():
        after = rows[-1].id
        changed = [{"id": row.id, "words": words} for row in rows if (words := index_tokens(row.text)) is not None]
        if changed:
            connection.execute(change, changed)
