"""Online migration: the part of migration 0007 that takes long on Postgres, done while servers read and write.

1. The migration itself only changes the catalogue: a column, its trigger and, where there are no messages, the index.
2. Existing messages are filled in afterwards by that trigger, in pages that are transactions of their own. Rows that
   another transaction has locked are passed over and come in the next round.
3. The index is created last, CONCURRENTLY. While it is missing or invalid the migration is not finished, and a repeated
   run continues it.
4. Servers of the version before search with the old index. The next run drops it, when they are gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

# Each search reads the entries that are not sorted in yet, and a commit sorts them in: hence few at a time.
INDEX = """ix_messages_search_terms ON messages USING gin ((ARRAY[room COLLATE "C"]), search_terms)
    WITH (gin_pending_list_limit = 256) WHERE search_terms IS NOT NULL"""
OLD_INDEX = "ix_messages_search"
PAGE = 200
"""Messages that are locked at once."""
_LOCK = 7_273_657_279  # any number of our own, the same in every server
_POLL_SECONDS = 0.2
_VALID = """SELECT coalesce((SELECT indisvalid FROM pg_index
    WHERE indexrelid = to_regclass('ix_messages_search_terms')), false)"""
_LEFT = "SELECT EXISTS (SELECT FROM messages WHERE search_terms IS NULL AND deleted_at IS NULL)"
_NEXT = "SELECT room, seq FROM messages WHERE (room, seq) > (:room, :seq) ORDER BY room, seq LIMIT :page"
_FILL = """
    WITH page AS (
        SELECT room, seq FROM messages
        WHERE (room, seq) > (:room, :seq) AND (room, seq) <= (:last_room, :last_seq)
            AND search_terms IS NULL AND deleted_at IS NULL
        FOR NO KEY UPDATE SKIP LOCKED
    )
    UPDATE messages SET text = messages.text FROM page WHERE messages.room = page.room AND messages.seq = page.seq"""


def is_finished(connection: sa.Connection) -> bool:
    """Whether nothing is left to be done for the tables of this version."""
    return connection.dialect.name == "sqlite" or bool(connection.scalar(sa.text(_VALID)))


async def finish(connection: AsyncConnection, *, drop_old: bool) -> None:
    """Finish the migration; servers that do it at the same time do it one after the other.

    `connection` is in autocommit mode. `drop_old`: the tables were up to date before, so no older server is left.
    """
    if connection.dialect.name == "sqlite":
        return
    if await connection.run_sync(is_finished) and not (drop_old and await _has_old_index(connection)):
        return
    async with _locked(connection):
        if not await connection.run_sync(is_finished):
            await _fill(connection)
            await connection.execute(sa.text("DROP INDEX CONCURRENTLY IF EXISTS ix_messages_search_terms"))
            await connection.execute(sa.text(f"CREATE INDEX CONCURRENTLY {INDEX}"))
            await connection.execute(sa.text("ANALYZE messages"))
        elif drop_old:
            await connection.execute(sa.text(f"DROP INDEX CONCURRENTLY IF EXISTS {OLD_INDEX}"))


async def _fill(connection: AsyncConnection) -> None:
    while await connection.scalar(sa.text(_LEFT)):
        room, seq = "", 0
        while rows := (await connection.execute(sa.text(_NEXT), {"room": room, "seq": seq, "page": PAGE})).all():
            last_room, last_seq = rows[-1]
            page = {"room": room, "seq": seq, "last_room": last_room, "last_seq": last_seq}
            await connection.execute(sa.text(_FILL), page)
            room, seq = last_room, last_seq
        await asyncio.sleep(_POLL_SECONDS)


async def _has_old_index(connection: AsyncConnection) -> bool:
    return bool(await connection.scalar(sa.select(sa.func.to_regclass(OLD_INDEX).is_not(None))))


@asynccontextmanager
async def _locked(connection: AsyncConnection) -> AsyncIterator[None]:
    """Polls: CREATE INDEX CONCURRENTLY waits for all transactions, also for one that waits for a lock."""
    while not await connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK))):  # noqa: ASYNC110  no event tells
        await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        await connection.execute(sa.select(sa.func.pg_advisory_unlock(_LOCK)))
