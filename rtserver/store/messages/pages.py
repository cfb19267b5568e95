"""Pages of messages: a part of a room's history, or of its changes, bounded by number and by bytes.

`more` is not whether the page is full but whether rows of the query are missing in it: the page may have ended at the
bytes that an answer may have.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.answer_size import fitting, size_of
from rtserver.store.db.column_types import Int, Key
from rtserver.store.db.page_size import octets, room_for, within_room
from rtserver.store.messages.append import message_columns, message_of
from rtserver.store.messages.reactions import with_reactions
from rtserver.store.messages.records import Message
from rtserver.store.schema import messages

REACTED_AT_ONCE = 20
"""Messages whose reactions are read with one query: a message may have 400 users listed."""

BEFORE, AFTER, CHANGED = "before", "after", "changed"
Page = tuple[list[Message], bool]


async def page_of(
    connection: AsyncConnection,
    kind: str,
    room: str,
    *,
    position: int,
    limit: int,
    size: int,
    oversized: bool = True,
    upto: int = 0,
) -> Page:
    """A page in the order of its direction, and whether there are more.

    `kind`: messages before or after the `seq` `position`, or those up to `upto` that changed after the `rev`
    `position`. `size`: bytes; `oversized`: a first message that is larger is returned all the same. Where it is not,
    and nothing else is, `more` is True.
    """
    bounds = {
        "room": room,
        "position": position,
        "upto": upto,
        "most": limit + 1,
        **room_for(size, oversized=oversized),
    }
    query = _statement(connection.dialect.name, kind)
    rows = (await connection.execute(query, {name: bounds[name] for name in _parameters(kind)})).all()
    found = [message_of(row[:-1]) for row in rows[:limit]]
    page = await _reacted(connection, fitting(found, size, oversized=oversized), size, oversized=oversized)
    if not rows:
        return [], not oversized
    return page, rows[0].found > len(page)


async def _reacted(
    connection: AsyncConnection, page: Sequence[Message], size: int, *, oversized: bool
) -> list[Message]:
    """As many of them with their reactions as fit into `size` bytes."""
    whole: list[Message] = []
    for start in range(0, len(page), REACTED_AT_ONCE):
        part = await with_reactions(connection, page[start : start + REACTED_AT_ONCE])
        fit = fitting(part, size, oversized=oversized and not whole)
        whole += fit
        if len(fit) < len(part):
            break
        size -= size_of(part)
    return whole


def _parameters(kind: str) -> tuple[str, ...]:
    shared = ("room", "position", "most", "page_room", "page_oversized")
    return (*shared, "upto") if kind == CHANGED else shared


@cache
def _statement(dialect: str, kind: str) -> sa.Select[Any]:
    """Cached: building it takes longer than executing it."""
    room, position = sa.bindparam("room", type_=Key), sa.bindparam("position", type_=Int)
    size = octets(dialect, messages.c.text, messages.c.data, messages.c.mentions)
    column = messages.c.rev if kind == CHANGED else messages.c.seq
    near = sa.select(messages.c.seq, column.label("at"), size.label("size")).where(messages.c.room == room)
    if kind == BEFORE:
        near = near.where(column < position).order_by(column.desc())
    else:
        near = near.where(column > position).order_by(column)
    if kind == CHANGED:
        near = near.where(messages.c.seq <= sa.bindparam("upto", type_=Int))
    near = near.limit(sa.bindparam("most", type_=sa.Integer))
    fit = within_room(near, lambda rows: [rows.at.desc() if kind == BEFORE else rows.at])
    return (
        sa.select(*message_columns(messages), fit.c.found)
        .select_from(fit)
        .join(messages, sa.and_(messages.c.room == room, messages.c.seq == fit.c.seq))
        .order_by(fit.c.at.desc() if kind == BEFORE else fit.c.at)
    )
