"""Search on SQLite: the full-text index FTS5, made by migrations 0005 and 0006."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import InvalidPayload
from rtserver.store.db.column_types import MAX_INT
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.records import Message
from rtserver.store.messages.search_words import Word
from rtserver.store.schema import messages


async def find_sqlite(
    connection: AsyncConnection, words: Sequence[Word], rooms: Sequence[str], cursor: str | None, limit: int
) -> list[tuple[str, Message]]:
    """Up to `limit` messages with their cursors, newest first.

    FTS5 walks its row ids downwards and stops at the limit. CROSS JOIN makes SQLite query it first.
    """
    terms = " ".join(f'"{word}"{"*" if open_ended else ""}' for word, open_ended in words)
    places = " OR ".join(f'"{room.encode().hex()}"' for room in rooms)
    columns = ", ".join(f"messages.{column.name}" for column in message_columns(messages))
    statement = sa.text(
        f"SELECT search_words.rowid, {columns} FROM search_words "  # noqa: S608  names of columns
        "CROSS JOIN search_docs ON doc = search_words.rowid CROSS JOIN messages ON messages.id = search_docs.id "
        "WHERE search_words MATCH :match AND search_words.rowid < :before ORDER BY search_words.rowid DESC LIMIT :limit"
    ).columns(sa.column("doc", sa.Integer), *(sa.column(c.name, c.type) for c in message_columns(messages)))
    given = {"match": f"room : ({places}) AND text : ({terms})", "before": _doc(cursor), "limit": limit}
    return [(str(row[0]), message_of(row[1:])) for row in await connection.execute(statement, given)]


def _doc(cursor: str | None) -> int:
    if cursor is None:
        return MAX_INT
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > MAX_INT:
        raise InvalidPayload("This is not a cursor of a search", details={"field": "cursor"})
    return int(cursor)
