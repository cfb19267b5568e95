"""Slow mode: how long an author has to wait in a room before the next message.

It goes by the messages themselves, under the lock that numbers them, so it holds across devices and servers, and a
message that was not saved costs nobody the turn. A clock that was set back keeps nobody waiting for longer than twice
the pause.
"""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.errors import RateLimited
from rtserver.store.db.database import Database
from rtserver.store.messages.records import Draft
from rtserver.store.schema import messages

_SLOW_DOWN = "This room is in slow mode"


class SlowMode:
    """Asks beforehand, so that those who are too fast do not hold up the messages of others."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def check(self, draft: Draft) -> None:
        """Raises `RateLimited`; never for a message that is there already."""
        async with self._db.reading() as connection:
            wait = await _wait_seconds(connection, draft, now_ms())
            if wait and not await _is_replay(connection, draft):
                raise RateLimited(wait, _SLOW_DOWN)


async def check_slow_mode(
    connection: AsyncConnection, drafts: Iterable[tuple[int, Draft]], now: int
) -> dict[int, RateLimited]:
    """Which of `drafts` come too soon, by their places, in the transaction that saves the others.

    All of them are slow and none is there already. A refusal is a result, so that it holds up nobody else's message.
    """
    accepted: dict[tuple[str, str], set[str | None]] = {}
    refused: dict[int, RateLimited] = {}
    for place, draft in drafts:
        author = (draft.room, draft.author.id)
        if author in accepted:
            if draft.nonce is None or draft.nonce not in accepted[author]:
                refused[place] = RateLimited(draft.slow_seconds or 0, _SLOW_DOWN)
        elif wait := await _wait_seconds(connection, draft, now):
            refused[place] = RateLimited(wait, _SLOW_DOWN)
        else:
            accepted[author] = {draft.nonce}
    return refused


async def _wait_seconds(connection: AsyncConnection, draft: Draft, now: int) -> float:
    """Seconds; 0 when it may be sent."""
    mine = sa.and_(messages.c.author_id == draft.author.id, messages.c.room == draft.room)
    last = sa.select(messages.c.sent_at).where(mine).order_by(messages.c.seq.desc()).limit(1)
    sent_at: int | None = (await connection.execute(last)).scalar()
    pause = (draft.slow_seconds or 0) * 1000
    if sent_at is None or not -pause < now - sent_at < pause:
        return 0
    return min(pause, pause - (now - sent_at)) / 1000


async def _is_replay(connection: AsyncConnection, draft: Draft) -> bool:
    if draft.nonce is None:
        return False
    mine = sa.and_(messages.c.author_id == draft.author.id, messages.c.room == draft.room)
    query = sa.select(messages.c.seq).where(mine, messages.c.nonce == draft.nonce)
    return (await connection.execute(query)).first() is not None
