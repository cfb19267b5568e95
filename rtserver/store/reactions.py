"""Reading the reactions of messages: one query for a page, whatever its length."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec.structs import replace
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.store.records import Message, Reaction
from rtserver.store.schema import reactions

SHOWN_USERS = 20
"""Users named for one emoji on one message; `count` tells how many there are."""


async def with_reactions(connection: AsyncConnection, page: Sequence[Message]) -> list[Message]:
    """The messages of one room as they are seen. Only those with a `rev` can have any."""
    changed = [message.seq for message in page if message.rev is not None and message.deleted_at is None]
    if not changed:
        return list(page)
    found = await _reactions(connection, page[0].room, min(changed), max(changed))
    return [replace(message, reactions=found[message.seq]) if message.seq in found else message for message in page]


async def _reactions(connection: AsyncConnection, room: str, first: int, last: int) -> dict[int, list[Reaction]]:
    """By `seq`; the emoji that came first is first, and so are the users."""
    each = (reactions.c.seq, reactions.c.emoji)
    rank = sa.func.row_number().over(partition_by=each, order_by=(reactions.c.reacted_at, reactions.c.user_id))
    ranked = (
        sa.select(
            reactions.c.seq,
            reactions.c.emoji,
            reactions.c.user_id,
            rank.label("place"),
            sa.func.count().over(partition_by=each).label("total"),
            sa.func.min(reactions.c.reacted_at).over(partition_by=each).label("since"),
        )
        .where(reactions.c.room == room, reactions.c.seq.between(first, last))
        .subquery()
    )
    query = (
        sa.select(ranked.c.seq, ranked.c.emoji, ranked.c.total, ranked.c.user_id)
        .where(ranked.c.place <= SHOWN_USERS)
        .order_by(ranked.c.seq, ranked.c.since, ranked.c.emoji, ranked.c.place)
    )
    found: dict[int, list[Reaction]] = {}
    for seq, emoji, total, user in await connection.execute(query):
        shown = found.setdefault(seq, [])
        if not shown or shown[-1].emoji != emoji:
            shown.append(Reaction(emoji, total, []))
        shown[-1].users.append(user)
    return found
