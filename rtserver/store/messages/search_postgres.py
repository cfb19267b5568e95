"""Search on Postgres: the words of each message in a column of their own, `search_terms`, and a GIN index on it.

A trigger keeps the column (migration 0007). The index has no order: from it come all matches, and the newest of them
only after a sort. Reading a message costs about a microsecond, as does an entry of the index. Therefore there are
several ways, each of which is cheap where the others are dear:

1. The newest messages are read one after the other. Frequent words are found here.
2. The index answers for rare words. In one room it intersects the room with all words, so that a word which is frequent
   in other rooms costs little. Beyond `MOST` matches it gives up.
3. A word with more matches than that is met soon when reading on from the newest message backwards.
4. For many rooms the intersection would be dear: it compares each entry with all rooms. If they have few messages, all
   of them are read; otherwise the index finds the words, and the rooms are compared with what it finds.

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
from rtserver.store.schema import rooms as rooms_table

NEWEST = 1000
"""Messages that the first way reads; for several rooms, of all rooms."""
MOST = 2000
"""Matches of the index that are sorted."""
FEW = 20_000
"""Messages in all searched rooms together that are read without the index."""

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
        few = len(rooms) > 1 and await _count(connection, rooms) <= FEW
        rows = (await connection.execute(ways.among_all() if few else ways.by_index())).all()
        if not few and rows and rows[0].total > MOST:
            rows = (await connection.execute(ways.backwards())).all()
    found = [message_of(row[: len(_COLUMNS)]) for row in rows]
    return [(message.id, message) for message in found]


class _Ways:
    """The statements of the ways. One room is read in the order of `seq`, several in that of the ids."""

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
        mine = _ROOM_KEY.bool_op("&&")(self._rooms) if self._only is not None else self._in_rooms(indexed=False)
        hits = self._hits(self._match(_table), mine, self._earlier).limit(MOST + 1)
        cte = hits.cte("hits").prefix_with("MATERIALIZED")
        return self._newest(cte, sa.select(sa.func.count()).select_from(cte).scalar_subquery().label("total"))

    def among_all(self) -> sa.Select[Any]:
        conditions = _unindexed(self._match(_table)), _unindexed(self._earlier)
        hits = self._hits(self._in_rooms(indexed=True), *conditions)
        return self._newest(hits.cte("hits").prefix_with("MATERIALIZED"))

    def backwards(self) -> sa.Select[Any]:
        mine = self._in_rooms(indexed=self._only is not None)
        return self._all(sa.and_(mine, self._earlier, _unindexed(self._match(_table)))).limit(self._limit)

    def _hits(self, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(_table.c.id, _table.c.seq).where(*conditions)

    def _newest(self, hits: sa.CTE, *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
        newest = sa.select(hits.c.id).order_by(hits.c[self._order].desc()).limit(self._limit)
        return self._all(_table.c.id.in_(newest), *more)

    def _in_rooms(self, *, indexed: bool) -> sa.ColumnElement[bool]:
        mine = _table.c.room == (sa.any_(self._rooms) if self._only is None else self._only)
        return mine if indexed else _unindexed(mine)

    def _all(self, condition: sa.ColumnElement[bool], *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
        found = sa.select(*_COLUMNS, *more).where(condition)
        return found.order_by(_table.c[self._order].desc())

    def _match(self, table: sa.FromClause) -> sa.ColumnElement[bool]:
        return table.c.search_terms.bool_op("@@")(self._terms)


def _unindexed(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """The condition in a form that no index can answer."""
    return condition.is_(sa.true())


async def _count(connection: AsyncConnection, names: Sequence[str]) -> int:
    """The messages in these rooms."""
    kept = sa.func.sum(rooms_table.c.last_seq - rooms_table.c.first_seq + 1)
    mine = rooms_table.c.room == sa.any_(sa.literal(list(names), sa.ARRAY(sa.Text)))
    return int((await connection.execute(sa.select(kept).where(mine))).scalar() or 0)


async def _earlier(connection: AsyncConnection, rooms: Sequence[str], cursor: str | None) -> sa.ColumnElement[bool]:
    """The messages behind the cursor, which is the id of the last one of the previous page."""
    if cursor is None:
        return sa.true()
    if re.fullmatch(r"[0-9a-v]{26}", cursor) is None:
        raise InvalidPayload("This is not a cursor of a search", details={"field": "cursor"})
    last = sa.select(_table.c.seq).where(_table.c.id == cursor, _table.c.room == rooms[0])
    seq = (await connection.execute(last)).scalar() if len(rooms) == 1 else None
    return _table.c.id < cursor if seq is None else _table.c.seq < seq
