"""The keys under which backends have asked for something, so that asking again is not doing it again.

A key stands here before what it asks for is carried out, or is committed with it (`orders`). It keeps a digest of the
body, since the same key with another body is a mistake, and the answer, where asking again could not find it out. Many
are committed at once.
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
"""How long a key is remembered."""
_STEP, _STEPS = 2000, 50


class KeyedRequest(NamedTuple):
    """A key and what it is for; `answer` is what to say whoever asks again, if that is known already."""

    kind: str
    key: str
    digest: str
    answer: Any = None


class KnownKey(NamedTuple):
    """What stands under a key. `new`: it was not asked for before."""

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
        await self._writer.start()

    async def stop(self) -> None:
        await self._writer.stop()

    async def enter(self, asked: KeyedRequest) -> KnownKey:
        """What stands under the key from now on; raises `Conflict` where that is another body's."""
        kind, key, digest, answer = asked
        known = await self._writer.submit(KeyedRequest(checked_key(kind), checked_key(key), digest, plain_json(answer)))
        return same_body(known, asked)

    async def answer(self, kind: str, key: str, answer: Any) -> None:
        """What to say whoever asks again."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.update(requests).where(_is(kind, key)).values(answer=answer))

    async def forget(self, kind: str, key: str) -> None:
        """What was asked for was refused: the key is free again."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.delete(requests).where(_is(kind, key)))

    async def remove_expired(self) -> int:
        """Forget the keys that nobody has reason to use again, a bounded number of them; how many."""
        forgotten = 0
        for _ in range(_STEPS):
            some = await self._remove_some()
            forgotten += some
            if some < _STEP:
                break
        return forgotten

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
    """What stands under each key from now on, in order. The keys go in sorted, so that two servers cannot deadlock."""
    first: dict[tuple[str, str], KeyedRequest] = {}
    for asked in batch:
        first.setdefault((asked.kind, asked.key), asked)
    rows = [
        {"kind": kind, "key": key, "digest": asked.digest, "answer": asked.answer, "created_at": now}
        for (kind, key), asked in sorted(first.items())
    ]
    adding = insert_into(connection, requests).on_conflict_do_nothing().returning(requests.c.kind, requests.c.key)
    fresh = {(row.kind, row.key) for row in await connection.execute(adding, rows)}
    before = await _standing(connection, [key for key in first if key not in fresh])
    known = []
    for asked in batch:
        name = (asked.kind, asked.key)
        digest, answer = before[name] if name in before else (first[name].digest, first[name].answer)
        known.append(KnownKey(digest, answer, name in fresh))
        fresh.discard(name)  # of several in one batch the first one is new
    return known


def same_body(known: KnownKey, asked: KeyedRequest) -> KnownKey:
    if known.digest != asked.digest:
        raise Conflict("The key was used before, with another body")
    return known


async def _standing(
    connection: AsyncConnection, keys: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[str, Any]]:
    if not keys:
        return {}
    query = sa.select(requests).where(matches(connection, [requests.c.kind, requests.c.key], keys))
    return {(row.kind, row.key): (row.digest, row.answer) for row in await connection.execute(query)}


def _is(kind: str, key: str) -> sa.ColumnElement[bool]:
    return sa.and_(requests.c.kind == kind, requests.c.key == key)
