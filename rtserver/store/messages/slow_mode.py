"""Slow mode: the pause that an author must keep between two messages in a room.

1. It is computed from the saved messages, under the row lock of the room. So it holds across devices and servers, and a
   message that was not saved does not count.
2. After the clock was set back, an author waits for at most twice the pause.
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
    """A check before the message is queued, so that too fast authors do not slow down the batches of others."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def check(self, draft: Draft) -> None:
        """Raise `RateLimited` for a message that comes too soon; never for a replay."""
        async with self._db.reading() as connection:
            wait = await _wait_seconds(connection, draft, now_ms())
            if wait and not await _is_replay(connection, draft):
                raise RateLimited(wait, _SLOW_DOWN)


async def check_slow_mode(
    connection: AsyncConnection, drafts: Iterable[tuple[int, Draft]], now: int
) -> dict[int, RateLimited]:
    """Check drafts in the transaction that saves them; returns the rejections by the drafts' positions.

    `drafts`: (position, draft), all with `slow_seconds` and none a replay. A rejection is a result and not an error, so
    that the other messages of the batch are saved.
    """
    accepted: dict[tuple[str, str], set[str | None]] = {}
    refused: dict[int, RateLimited] = {}
    for position, draft in drafts:
        author = (draft.room, draft.author.id)
        if author in accepted:
            if draft.nonce is None or draft.nonce not in accepted[author]:
                refused[position] = RateLimited(draft.slow_seconds or 0, _SLOW_DOWN)
        elif wait := await _wait_seconds(connection, draft, now):
            refused[position] = RateLimited(wait, _SLOW_DOWN)
        else:
            accepted[author] = {draft.nonce}
    return refused


async def _wait_seconds(connection: AsyncConnection, draft: Draft, now: int) -> float:
    """Seconds until the message may be sent; 0: now."""
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
