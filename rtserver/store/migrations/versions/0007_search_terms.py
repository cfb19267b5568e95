"""Stored words for the search on Postgres: `messages.search_terms`, kept by a trigger, with an index by room and word.

Before, the index had an expression: whatever was read without it was split into words again, which takes 10 ms for a
long message. A generated column would rewrite the table under a lock; a trigger also serves servers of the version
before, which do not know the column. See `rtserver.store.db.online_migration` for messages that exist already.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from rtserver.store.db.online_migration import INDEX, OLD_INDEX

revision = "0007"
down_revision = "0006"

# Without ASCII punctuation the parser sees words only, no e-mail addresses, hosts or tags.
_STATEMENTS = (
    # All others would wait behind a migration that waits for a dump: better it fails and is run again.
    "SET LOCAL lock_timeout = '5s'",
    "ALTER TABLE messages ADD COLUMN search_terms tsvector",
    r"""CREATE FUNCTION search_terms_changed() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        new.search_terms := CASE WHEN new.deleted_at IS NULL THEN to_tsvector('pg_catalog.simple', translate(
            coalesce(new.words, new.text), '!"#$%&''()*+,-./:;<=>?@[\]^_`{|}~', '                                '
        )) END;
        RETURN new;
    END $$""",
    """CREATE TRIGGER search_terms_changed BEFORE INSERT OR UPDATE OF text, words, deleted_at ON messages
        FOR EACH ROW EXECUTE FUNCTION search_terms_changed()""",
)
_EMPTY = (f"DROP INDEX {OLD_INDEX}", f"CREATE INDEX {INDEX}")


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        return  # FTS5 stores the words
    _run(connection, _STATEMENTS)
    if connection.scalar(sa.text("SELECT NOT EXISTS (SELECT FROM messages)")):
        _run(connection, _EMPTY)


def _run(connection: sa.Connection, statements: tuple[str, ...]) -> None:
    for statement in statements:
        connection.execute(sa.text(statement.replace(":", r"\:")))
