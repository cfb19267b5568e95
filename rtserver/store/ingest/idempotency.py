"""Idempotency keys: a repeated request with the same key is answered, not executed again.

1. A key is entered before its request is executed, or committed with it (`rtserver.store.notifications.batches`).
2. It keeps a digest of the body: the same key with another body is a `Conflict`. It keeps the answer where a repeated
   execution could not reconstruct it.
3. Group commit enters many keys at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import now_ms
from rtserver.errors import Conflict
from rtserver.store.db.column_types import checked_key, plain_json
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import insert_into, matches
from rtserver.store.db.group_commit import GroupWriter
from rtserver.store.schema.ingest import requests

KEPT_MS = 7 * 24 * 3600 * 1000
"""How long a key is kept."""
_STEP, _STEPS = 2000, 50


class KeyedRequest(NamedTuple):
    """A key, the kind of request and the digest of its body. `answer`: for repeats, where it is known already."""

    kind: str
    key: str
    digest: str
    answer: Any = None


class KnownKey(NamedTuple):
    """The stored state of a key. `new`: this request has entered it."""

    digest: str
    answer: Any
    new: bool


class IdempotencyKeys:
    """Enters keys between `start` and `stop`.

    `enter` runs in the caller's task: it queues the key and waits. `_write` runs in the task of the group writer, once
    per batch, in one transaction.
    """

    def __init__(self, db: Database, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._clock = clock
        self._writer = GroupWriter(self._write)

    async def start(self) -> None:
        """Start the group writer."""
        await self._writer.start()

    async def stop(self) -> None:
        """Reject new keys and save the queued ones."""
        await self._writer.stop()

    async def enter(self, asked: KeyedRequest) -> KnownKey:
        """Enter a key, or find it; raises `Conflict` where it was used with another body, and `Unavailable`."""
        kind, key, digest, answer = asked
        known = await self._writer.submit(KeyedRequest(checked_key(kind), checked_key(key), digest, plain_json(answer)))
        return same_body(known, asked)

    async def answer(self, kind: str, key: str, answer: Any) -> None:
        """Save the answer for repeated requests."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.update(requests).where(_is(kind, key)).values(answer=answer))

    async def forget(self, kind: str, key: str) -> None:
        """Remove a key whose request was rejected, so that it can be used again."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.delete(requests).where(_is(kind, key)))

    async def remove_expired(self) -> int:
        """Remove keys older than `KEPT_MS`, a bounded number of them; returns how many."""
        removed = 0
        for _ in range(_STEPS):
            some = await self._remove_some()
            removed += some
            if some < _STEP:
                break
        return removed

    async def _remove_some(self) -> int:
        old = requests.c.created_at < self._clock() - KEPT_MS
        oldest = sa.select(requests.c.created_at).where(old).order_by(requests.c.created_at)
        async with self._db.reading() as connection:
            found = list((await connection.execute(oldest.limit(_STEP))).scalars())
        if not found:
            return 0
        async with self._db.transaction() as connection:
            return (await connection.execute(sa.delete(requests).where(requests.c.created_at <= found[-1]))).rowcount

    async def _write(self, batch: Sequence[KeyedRequest]) -> list[KnownKey]:
        async with self._db.transaction() as connection:
            return await enter(connection, batch, self._clock())


async def enter(connection: AsyncConnection, batch: Sequence[KeyedRequest], now: int) -> list[KnownKey]:
    """Enter a batch of keys in the caller's transaction; returns the state of each, in order. `now`: milliseconds.

    The keys are inserted in sorted order, so that two servers cannot deadlock.
    """
    first: dict[tuple[str, str], KeyedRequest] = {}
    for asked in batch:
        first.setdefault((asked.kind, asked.key), asked)
    rows = [
        {"kind": kind, "key": key, "digest": asked.digest, "answer": asked.answer, "created_at": now}
        for (kind, key), asked in sorted(first.items())
    ]
    adding = insert_into(connection, requests).on_conflict_do_nothing().returning(requests.c.kind, requests.c.key)
    fresh = {(row.kind, row.key) for row in await connection.execute(adding, rows)}
    before = await _stored(connection, [key for key in first if key not in fresh])
    known = []
    for asked in batch:
        name = (asked.kind, asked.key)
        digest, answer = before[name] if name in before else (first[name].digest, first[name].answer)
        known.append(KnownKey(digest, answer, name in fresh))
        fresh.discard(name)  # of several in one batch the first one is new
    return known


def same_body(known: KnownKey, asked: KeyedRequest) -> KnownKey:
    """`known` itself; raises `Conflict` where it belongs to another body."""
    if known.digest != asked.digest:
        raise Conflict("The key was used before, with another body")
    return known


async def _stored(
    connection: AsyncConnection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, Any]]:
    if not keys:
        return {}
    query = sa.select(requests).where(matches(connection, [requests.c.kind, requests.c.key], keys))
    return {(row.kind, row.key): (row.digest, row.answer) for row in await connection.execute(query)}


def _is(kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(requests.c.kind == kind, requests.c.key == key)
