"""Search on Postgres: the words of each message in a column of their own, `search_terms`, and a GIN index on it.

A trigger keeps the column (migration 0007). The index has no order: from it come all matches, and the newest of them
only after a sort. Therefore three ways are tried, each of which is cheap where the others are dear:

1. The newest messages are read one after the other. A word that stands in every third message is found here.
2. The index answers for rare words. It intersects the room with all words, so that neither a word that is frequent in
   other rooms nor one rare among frequent ones costs anything. It gives up beyond `MOST` matches.
3. A word with more matches than that is met soon when reading on from the newest message backwards.

The planner estimates words badly. The conditions are written so that each way has one possible plan.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import InvalidPayload
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.records import Message
from rtserver.store.messages.search_words import Word
from rtserver.store.schema import messages

NEWEST = 256
"""Messages that the first way reads; for several rooms, of all rooms."""
MOST = 2000
"""Matches that are sorted."""

_table = sa.table("messages", *(sa.column(c.name, c.type) for c in messages.c), sa.column("search_terms"))
_COLUMNS = message_columns(_table)
_SIMPLE: sa.ColumnElement[str] = sa.literal_column("'pg_catalog.simple'")
_ROOM_KEY: sa.ColumnElement[Any] = sa.literal_column('(ARRAY[messages.room COLLATE "C"])')
"""The room as the index has it: written as in migration 0007, or the index would not be used."""


async def find_postgres(
    connection: AsyncConnection, words: Sequence[Word], rooms: Sequence[str], cursor: str | None, limit: int
) -> list[tuple[str, Message]]:
    """Up to `limit` messages with their cursors, newest first."""
    ways = _Ways(words, rooms, await _earlier(connection, rooms, cursor), limit)
    rows: Sequence[Any] = (await connection.execute(ways.among_newest())).all()
    if len(rows) < limit:
        rows = (await connection.execute(ways.by_index())).all()
        if rows and rows[0].total > MOST:
            rows = (await connection.execute(ways.backwards())).all()
    found = [message_of(row[: len(_COLUMNS)]) for row in rows]
    return [(message.id, message) for message in found]


class _Ways:
    """The three statements. One room is read in the order of `seq`, several in that of the ids."""

    def __init__(
        self, words: Sequence[Word], rooms: Sequence[str], earlier: sa.ColumnElement[bool], limit: int
    ) -> None:
        terms = " & ".join(f"'{word}'{':*' if open_ended else ''}" for word, open_ended in words)
        self._terms = sa.func.to_tsquery(_SIMPLE, terms)
        self._rooms = sa.literal(list(rooms), sa.ARRAY(sa.Text))
        self._only = rooms[0] if len(rooms) == 1 else None
        self._order = "id" if self._only is None else "seq"
        self._earlier = earlier
        self._limit = limit

    def among_newest(self) -> sa.Select[Any]:
        window = sa.select(_table).where(self._earlier)
        if self._only is not None:
            window = window.where(_table.c.room == self._only)
        newest = window.order_by(_table.c[self._order].desc()).limit(NEWEST).subquery("newest")
        found = sa.select(*message_columns(newest)).where(newest.c.room == sa.any_(self._rooms), self._match(newest))
        return found.order_by(newest.c[self._order].desc()).limit(self._limit)

    def by_index(self) -> sa.Select[Any]:
        """Rows with the number of matches as `total`; with more than `MOST` they are any of them, not the newest."""
        matches = sa.select(_table.c.id, _table.c.seq)
        matches = matches.where(self._match(_table), _ROOM_KEY.bool_op("&&")(self._rooms), self._earlier)
        hits = matches.limit(MOST + 1).cte("hits").prefix_with("MATERIALIZED")
        total = sa.select(sa.func.count()).select_from(hits).scalar_subquery().label("total")
        newest = sa.select(hits.c.id).order_by(hits.c[self._order].desc()).limit(self._limit)
        return self._all(_table.c.id.in_(newest), total)

    def backwards(self) -> sa.Select[Any]:
        mine = (
            _table.c.room == self._only
            if self._only is not None
            else self._filter(_table.c.room == sa.any_(self._rooms))
        )
        return self._all(sa.and_(mine, self._earlier, self._filter(self._match(_table)))).limit(self._limit)

    def _all(self, condition: sa.ColumnElement[bool], *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
        found = sa.select(*_COLUMNS, *more).where(condition)
        return found.order_by(_table.c[self._order].desc())

    def _match(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        return table.c.search_terms.bool_op("@@")(self._terms)

    @staticmethod
    def _filter(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """The condition in a form that no index can answer, so that the order decides the plan."""
        return condition.is_(sa.true())


async def _earlier(connection: AsyncConnection, rooms: Sequence[str], cursor: str | None) -> sa.ColumnElement[bool]:
    """The messages behind the cursor, which is the id of the last one of the previous page."""
    if cursor is None:
        return sa.true()
    if re.fullmatch(r"[0-9a-v]{26}", cursor) is None:
        raise InvalidPayload("This is not a cursor of a search", details={"field": "cursor"})
    last = sa.select(_table.c.seq).where(_table.c.id == cursor, _table.c.room == rooms[0])
    seq = (await connection.execute(last)).scalar() if len(rooms) == 1 else None
    return _table.c.id < cursor if seq is None else _table.c.seq < seq
