"""Search in the messages of a user's rooms, newest first. Migrations 0005 and 0006 create the full-text index.

1. A query is a list of words. Everything between them is dropped, so that clients cannot use or break the query
   language of the database. All words must occur, in any order; the last one may be the beginning of a word. In scripts
   without spaces every part of a sentence is a word.
2. Membership is checked again for every page. Tombstones are not in the index.
3. A cursor is a position in the order and grants nothing: the messages behind it are checked like all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.answer_size import fitting
from rtserver.errors import InvalidPayload
from rtserver.store.db.column_types import MAX_INT, checked_text
from rtserver.store.db.database import Database
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.records import Message
from rtserver.store.messages.search_tokens import query_tokens
from rtserver.store.schema import members, messages, rooms

MAX_ROOMS = 500
"""Rooms that a search without `room` looks at: the ones with the latest activity."""
MAX_WORDS = 10
NEWEST = 2000
"""Messages of all rooms that Postgres scans before it uses the index."""
MIN_PREFIX = 3
"""Letters that the last word needs to be a prefix: a shorter one would match a large part of the index."""
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_GAPS = re.compile(rf"[\s\0{re.escape(PUNCTUATION)}]+")

Word = tuple[str, bool]
"""Tokens that must occur in a row, separated by spaces, and whether the last one may be a prefix."""
Page = tuple[list[Message], str | None]


class Search:
    """Full-text search: FTS5 on SQLite, `tsvector` on Postgres."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def find(
        self,
        user: str,
        query: str,
        *,
        room: str | None = None,
        cursor: str | None = None,
        limit: int = 20,
        readable: Callable[[str | None], bool] = lambda policy: True,
    ) -> Page:
        """A page of messages with all words of `query`, and the cursor of the next page.

        Only in rooms of which `user` is a member and whose own policy is `readable`. The messages come without
        reactions. Raises `InvalidPayload` for an invalid cursor, and `Unavailable`.
        """
        words = words_of(checked_text(query))
        async with self._db.reading() as connection:
            names = await _rooms_of(connection, user, room, readable)
            if not words or not names:
                return [], None
            find = _find_sqlite if connection.dialect.name == "sqlite" else _find_postgres
            found = await find(connection, words, names, cursor, limit + 1)
        page = fitting([message for _, message in found[:limit]])
        return [*page], found[len(page) - 1][0] if len(found) > len(page) else None


def words_of(query: str) -> list[Word]:
    """The words of a query that can be indexed, at most `MAX_WORDS`: each has a letter or a digit."""
    words = [query_tokens(word) for word in _GAPS.split(query) if any(map(str.isalnum, word))][:MAX_WORDS]
    if words:
        text, open_ended = words[-1]
        words[-1] = (text, open_ended or len(text.rpartition(" ")[2]) >= MIN_PREFIX)
    return words


async def _rooms_of(
    connection: AsyncConnection, user: str, room: str | None, readable: Callable[[str | None], bool]
) -> list[str]:
    chosen = sa.select(rooms.c.room, rooms.c.policy).join(members, members.c.room == rooms.c.room)
    mine = chosen.where(members.c.user_id == user)
    if room is not None:
        mine = mine.where(rooms.c.room == room)
    last_active = mine.order_by(rooms.c.active_at.desc()).limit(MAX_ROOMS)
    return [row.room for row in await connection.execute(last_active) if readable(row.policy)]


async def _find_sqlite(
    connection: AsyncConnection, words: Sequence[Word], names: Sequence[str], cursor: str | None, limit: int
) -> list[tuple[str, Message]]:
    """FTS5 walks its row ids downwards and stops at the limit. CROSS JOIN makes SQLite query it first."""
    terms = " ".join(f'"{word}"{"*" if open_ended else ""}' for word, open_ended in words)
    places = " OR ".join(f'"{name.encode().hex()}"' for name in names)
    columns = ", ".join(f"messages.{column.name}" for column in message_columns(messages))
    statement = sa.text(
        f"SELECT search_words.rowid, {columns} FROM search_words "  # noqa: S608  names of columns
        "CROSS JOIN search_docs ON doc = search_words.rowid CROSS JOIN messages ON messages.id = search_docs.id "
        "WHERE search_words MATCH :match AND search_words.rowid < :before ORDER BY search_words.rowid DESC LIMIT :limit"
    ).columns(sa.column("doc", sa.Integer), *(sa.column(c.name, c.type) for c in message_columns(messages)))
    given = {"match": f"room : ({places}) AND text : ({terms})", "before": _doc(cursor), "limit": limit}
    return [(str(row[0]), message_of(row[1:])) for row in await connection.execute(statement, given)]


async def _find_postgres(
    connection: AsyncConnection, words: Sequence[Word], names: Sequence[str], cursor: str | None, limit: int
) -> list[tuple[str, Message]]:
    """Frequent words are found among the newest messages; rare ones by the index.

    The planner of Postgres takes rare words for frequent ones and would read back through all messages.
    """
    terms = " & ".join(f"'{word}'{':*' if open_ended else ''}" for word, open_ended in words)
    mine = sa.literal(list(names), sa.ARRAY(sa.Text))
    earlier = sa.true() if cursor is None else messages.c.id < _id(cursor)
    newest = sa.select(messages).where(earlier).order_by(messages.c.id.desc()).limit(NEWEST).subquery()
    indexed = sa.select(messages.c.id).where(earlier, _contains(messages, terms), messages.c.room == sa.any_(mine))
    found: list[Message] = []
    for ids in (
        sa.select(newest.c.id).where(_contains(newest, terms), newest.c.room == sa.any_(mine)),
        sa.select(indexed.cte("indexed").prefix_with("MATERIALIZED").c.id),
    ):
        some = ids.order_by(sa.desc(ids.selected_columns.id)).limit(limit)
        query = sa.select(*message_columns(messages)).where(messages.c.id.in_(some))
        found = [message_of(row) for row in await connection.execute(query.order_by(messages.c.id.desc()))]
        if len(found) == limit:
            break
    return [(message.id, message) for message in found]


def _contains(table: sa.FromClause, terms: str) -> sa.ColumnElement[bool]:
    """The condition as the expression of the index, or the index would not be used."""
    plain = sa.func.translate(
        sa.func.coalesce(table.c.words, table.c.text),
        sa.literal_column("'" + PUNCTUATION.replace("'", "''") + "'"), sa.literal_column(_SPACES)
    )  # fmt: skip
    simple: sa.ColumnElement[str] = sa.literal_column("'simple'")
    return sa.func.to_tsvector(simple, plain).bool_op("@@")(sa.func.to_tsquery(simple, terms))


_SPACES = "'" + " " * len(PUNCTUATION) + "'"


def _id(cursor: str) -> str:
    if re.fullmatch(r"[0-9a-v]{26}", cursor) is None:
        raise InvalidPayload("This is not a cursor of a search", details={"field": "cursor"})
    return cursor


def _doc(cursor: str | None) -> int:
    if cursor is None:
        return MAX_INT
    if not cursor.isascii() or not cursor.isdigit() or int(cursor) > MAX_INT:
        raise InvalidPayload("This is not a cursor of a search", details={"field": "cursor"})
    return int(cursor)
