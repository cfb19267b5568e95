"""Reactions of messages, read with one query for a page of any length."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.protocol import json
from rtserver.store.db.column_types import Key
from rtserver.store.messages.records import Message, Reaction
from rtserver.store.schema import reactions

SHOWN_USERS = 20
"""Users listed for one emoji on one message; `count` is the number of all."""


async def with_reactions(connection: AsyncConnection, page: Sequence[Message]) -> list[Message]:
    """The messages of one room with their reactions. Only messages with a `rev` can have any."""
    changed = [message.seq for message in page if message.rev is not None and message.deleted_at is None]
    if not changed:
        return list(page)
    found = await _reactions(connection, page[0].room, min(changed), max(changed))
    return [replace(message, reactions=found[message.seq]) if message.seq in found else message for message in page]


async def _reactions(connection: AsyncConnection, room: str, first: int, last: int) -> dict[int, list[Reaction]]:
    """By `seq`. Emoji and users are in the order of the first reaction."""
    rows = await connection.execute(_query(connection.dialect.name), {"room": room, "first": first, "last": last})
    found: dict[int, list[Reaction]] = {}
    for seq, emoji, total, shown in rows:
        users = [user for _, user in sorted(json.loads(shown))]
        found.setdefault(seq, []).append(Reaction(emoji, total, users))
    return found


@cache
def _query(dialect: str) -> sa.Select[Any]:
    """The count and the first users of each emoji. Ranking all rows would sort thousands with every reaction."""
    room = sa.bindparam("room", type_=Key)
    each = (
        sa.select(
            reactions.c.seq,
            reactions.c.emoji,
            sa.func.count().label("total"),
            sa.func.min(reactions.c.reacted_at).label("since"),
        )
        .where(reactions.c.room == room, reactions.c.seq.between(sa.bindparam("first"), sa.bindparam("last")))
        .group_by(reactions.c.seq, reactions.c.emoji)
        .subquery("each")
    )
    one = reactions.alias("one")
    earliest = (
        sa.select(one.c.reacted_at, one.c.user_id)
        .where(one.c.room == room, one.c.seq == each.c.seq, one.c.emoji == each.c.emoji)
        .order_by(one.c.reacted_at, one.c.user_id)
        .limit(SHOWN_USERS)
        .correlate(each)
        .subquery("earliest")
    )
    shown = sa.select(_listed(dialect, earliest.c.reacted_at, earliest.c.user_id)).scalar_subquery()
    return sa.select(each.c.seq, each.c.emoji, each.c.total, shown).order_by(each.c.seq, each.c.since, each.c.emoji)


def _listed(dialect: str, *columns: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """The rows as JSON text."""
    if dialect == "sqlite":
        return sa.func.json_group_array(sa.func.json_array(*columns), type_=sa.Text)
    return sa.cast(sa.func.json_agg(sa.func.json_build_array(*columns)), sa.Text)
