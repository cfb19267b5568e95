"""The messages of rooms: appending one (committed when it returns) and reading back.

Knows nothing of who may write or read; asks `GroupWriter` to commit many at once.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from rtserver.errors import InvalidPayload
from rtserver.store.append import Appended, append, message_columns, message_of
from rtserver.store.clock import now_ms
from rtserver.store.columns import MAX_INT, checked_key, checked_text, plain_json
from rtserver.store.database import Database
from rtserver.store.ids import Ids
from rtserver.store.records import Author, Draft, Message
from rtserver.store.schema import messages
from rtserver.store.writer import BATCH_LIMIT, QUEUE_LIMIT, GroupWriter

MAX_PAGE = 10_000


class Messages:
    """Takes messages between `start` and `stop`; reads at any time."""

    def __init__(
        self, db: Database, *, queue_limit: int = QUEUE_LIMIT, batch_limit: int = BATCH_LIMIT
    ) -> None:
        self._db = db
        self._ids = Ids()
        self._writer = GroupWriter(self._append, queue_limit=queue_limit, batch_limit=batch_limit)

    async def start(self) -> None:
        await self._writer.start()

    async def stop(self) -> None:
        """Save what is waiting, then take no more."""
        await self._writer.stop()

    async def append(self, draft: Draft) -> Appended:
        """Save a message and return it with True, or the first one of the same author, room and nonce with False.

        Raises `InvalidPayload` for what cannot be kept, `Unavailable` when it is not known to be saved: try again
        with the same nonce.
        """
        return await self._writer.submit(_checked(draft))

    async def history(
        self, room: str, *, before: int | None = None, after: int | None = None, limit: int = 50
    ) -> tuple[list[Message], bool]:
        """Messages by rising `seq`, and whether there are more in the direction asked for.

        `after` reads forwards from there, otherwise it reads backwards from `before` or from the end; both exclusive.
        """
        query = _page(room, before, after, limit)
        async with self._db.reading() as connection:
            found = [message_of(row) for row in await connection.execute(query)]
        page = found[:limit]
        return (page if after is not None else page[::-1]), len(found) > limit

    async def has(self, room: str, id: str) -> bool:
        """Whether `room` has a message of that id, be it a tombstone."""
        query = sa.select(messages.c.seq).where(messages.c.id == checked_key(id), messages.c.room == checked_key(room))
        async with self._db.reading() as connection:
            return (await connection.execute(query)).first() is not None

    async def _append(self, drafts: Sequence[Draft]) -> list[Appended]:
        async with self._db.transaction() as connection:
            return await append(connection, drafts, self._ids, now_ms())


def _page(room: str, before: int | None, after: int | None, limit: int) -> sa.Select[tuple[object, ...]]:
    if not 0 < limit <= MAX_PAGE:
        raise InvalidPayload(f"limit must be 1 to {MAX_PAGE}")
    query = sa.select(*message_columns(messages)).where(messages.c.room == checked_key(room)).limit(limit + 1)
    if before is not None:
        query = query.where(messages.c.seq < _cursor("before", before))
    if after is not None:
        return query.where(messages.c.seq > _cursor("after", after)).order_by(messages.c.seq)
    return query.order_by(messages.c.seq.desc())


def _cursor(name: str, seq: int) -> int:
    if not 0 <= seq <= MAX_INT:
        raise InvalidPayload(f"{name} must be a sequence number")
    return seq


def _checked(draft: Draft) -> Draft:
    """The draft as it will be read back, refused here rather than in the middle of everybody's batch."""
    return Draft(
        checked_key(draft.room),
        Author(checked_key(draft.author.id), checked_text(draft.author.name)),
        checked_text(draft.text),
        nonce=None if draft.nonce is None else checked_key(draft.nonce),
        reply_to=None if draft.reply_to is None else checked_key(draft.reply_to),
        data=plain_json(draft.data),
        mentions=None if draft.mentions is None else [checked_key(user) for user in draft.mentions],
    )
