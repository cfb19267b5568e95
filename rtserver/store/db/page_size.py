"""Page size: the part of a page that fits into an answer, found by the database before any row is loaded.

A page is read in one statement. Its inner query walks an index and returns keys and sizes, which are numbers; only the
rows that fit are joined and returned. `found` tells how many there were, so that the reader knows whether more follow.
The sizes are those of the stored texts, a little less than those of the JSON: `rtserver.answer_size.fitting` has the
last word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from rtserver.store.db.column_types import Int

ROW_BYTES = 200
"""Bytes of a row beside its texts."""
ROOM = sa.bindparam("page_room", type_=Int)
"""The bytes that a page may have."""
OVERSIZED = sa.bindparam("page_oversized", type_=Int)
"""1: a first row that is larger than `ROOM` is returned all the same; 0: it is not."""

Order = Callable[[Any], Sequence[sa.ColumnElement[Any]]]
"""The columns to order by, of the inner query."""


def octets(dialect: str, *texts: sa.ColumnElement[Any]) -> sa.ColumnElement[int]:
    """The bytes of a row with these texts. Postgres need not read a long text for it."""
    total: sa.ColumnElement[int] = sa.literal_column(str(ROW_BYTES), sa.Integer)
    for text in texts:
        plain = sa.type_coerce(text, sa.Text)
        if dialect == "sqlite":
            length = sa.func.length(sa.cast(plain, sa.LargeBinary), type_=sa.Integer)
        else:
            length = sa.func.octet_length(plain, type_=sa.Integer)
        total = total + sa.func.coalesce(length, 0)
    return total


def within_room(near: sa.Select[Any], order: Order) -> sa.Subquery:
    """The rows of `near` that fit into `ROOM`, in `order`, with `found`: how many rows `near` has.

    `near` has a column `size`, and is limited.
    """
    rows = near.subquery("near")
    ranked = sa.select(
        rows,
        sa.func.sum(rows.c.size).over(order_by=order(rows.c)).label("upto"),
        sa.func.count().over().label("found"),
    ).subquery("ranked")
    first = sa.and_(ranked.c.upto == ranked.c.size, OVERSIZED == 1)
    return sa.select(ranked).where(sa.or_(ranked.c.upto <= ROOM, first)).subquery("fitting")


def room_for(room: int, *, oversized: bool = True) -> dict[str, int]:
    """The parameters of a statement with `within_room`."""
    return {"page_room": max(room, 0), "page_oversized": int(oversized)}
