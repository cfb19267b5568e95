"""Full-text search of messages: FTS5 on SQLite, a GIN index on Postgres.

1. On SQLite, triggers maintain the index, so that code that writes messages need not know of it. They are dropped with
   the table: a later migration that recreates `messages` has to recreate them.
2. The index has no copies of the texts (`content=''`). Removing an entry needs the exact words that were inserted,
   which the triggers have. `search_docs` gives each message its FTS5 row id, rising with time.
3. The room is an additional word of the entry, in hexadecimal, so that a search in some rooms does not read the matches
   of all rooms.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_SQLITE = (
    "CREATE TABLE search_docs (doc INTEGER NOT NULL PRIMARY KEY, id TEXT NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE search_words USING fts5(text, room, content='', tokenize='unicode61 remove_diacritics 0')",
    "INSERT INTO search_docs (id) SELECT id FROM messages WHERE deleted_at IS NULL ORDER BY id",
    "INSERT INTO search_words (rowid, text, room)"
    " SELECT doc, text, lower(hex(room)) FROM messages JOIN search_docs USING (id)",
    """CREATE TRIGGER search_added AFTER INSERT ON messages WHEN new.deleted_at IS NULL BEGIN
        INSERT INTO search_docs (id) VALUES (new.id);
        INSERT INTO search_words (rowid, text, room)
            VALUES (last_insert_rowid(), new.text, lower(hex(new.room)));
    END""",
    """CREATE TRIGGER search_changed AFTER UPDATE OF text, deleted_at ON messages BEGIN
        INSERT INTO search_words (search_words, rowid, text, room)
            SELECT 'delete', doc, old.text, lower(hex(old.room)) FROM search_docs WHERE id = old.id;
        DELETE FROM search_docs WHERE id = old.id AND new.deleted_at IS NOT NULL;
        INSERT INTO search_words (rowid, text, room)
            SELECT doc, new.text, lower(hex(new.room)) FROM search_docs WHERE id = new.id;
    END""",
    """CREATE TRIGGER search_removed AFTER DELETE ON messages BEGIN
        INSERT INTO search_words (search_words, rowid, text, room)
            SELECT 'delete', doc, old.text, lower(hex(old.room)) FROM search_docs WHERE id = old.id;
        DELETE FROM search_docs WHERE id = old.id;
    END""",
)
# Without ASCII punctuation the parser sees words only, no e-mail addresses, hosts or tags.
_POSTGRES = r"""CREATE INDEX ix_messages_search ON messages USING gin (to_tsvector('simple',
    translate(text, '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                ')))"""


def upgrade() -> None:
    connection = op.get_bind()
    for statement in _SQLITE if connection.dialect.name == "sqlite" else (_POSTGRES,):
        connection.execute(sa.text(statement.replace(":", r"\:")))
