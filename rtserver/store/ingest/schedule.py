"""Schedule: commands to be executed later, claimed by one server at a time in the order of their due time.

A claim is a lease: a lock with an end. The server that claims items becomes their `owner` until `held_until`, and
renews the lease while it works. A plain database lock would be lost with its connection, and would keep a transaction
open for as long as the command takes; a flag without an end would stay for ever after a crash. With a lease, a crashed
server blocks the others for at most `LEASE_MS`, and then another server claims the items again. The price: a server
that is merely slow, or cut off from the database, may still be executing when its lease ends, so an item can be
executed twice. Execution therefore has to be idempotent; leases make duplicates rare, not impossible.

1. While one server holds a lease, no other server can claim items: that keeps the order over all servers.
2. An item is removed only after its execution, so a crash leads to a repeat and never to a loss.
3. Leases are compared with the clocks of the servers. A clock that was set back does not prolong a lease: one that ends
   further ahead than any lease or pause can is ignored.
4. An item that waits after a failure has `held_until` without an `owner`: its next attempt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.answer_size import ANSWER_BYTES, fitting
from rtserver.clock import iso, now_ms
from rtserver.errors import Conflict
from rtserver.store.db.column_types import checked_key, plain_json
from rtserver.store.db.database import Database
from rtserver.store.db.ids import Ids
from rtserver.store.db.page_size import octets, room_for, within_room
from rtserver.store.ingest.idempotency import KeyedRequest, enter, same_body
from rtserver.store.schema.ingest import requests, scheduled

LEASE_MS = 6_000
"""How long a claim lasts without renewal."""
LONGEST_PAUSE_MS = 60_000
MAX_PAGE = 1000
_CLAIM_LOCK = 0x72747363  # advisory lock, the same in all servers on this database


class ScheduledItem(Struct, frozen=True, rename="camel"):
    """A scheduled command. With `failed_at` and `error` it is parked: it failed for good and awaits an operator."""

    id: str
    kind: str
    at: str
    body: Any
    key: str | None
    created_at: str
    attempts: int = 0
    failed_at: str | None = None
    error: str | None = None


class Schedule:
    """All methods raise `Unavailable`. Times are in milliseconds, ids are those of `ScheduledItem`."""

    def __init__(self, db: Database, *, clock: Callable[[], int] = now_ms) -> None:
        self._db = db
        self._clock = clock
        self._ids = Ids()

    async def add(self, kind: str, body: Any, due_at: int, *, key: str | None, digest: str) -> tuple[str, str, bool]:
        """Schedule a command; returns its id, its due time and True, or with False those of the first with this key.

        Raises `Conflict` where the key was used with another body.
        """
        id_, now = self._ids(), self._clock()
        row = {
            "id": id_, "kind": checked_key(kind), "body": plain_json(body), "due_at": due_at,
            "key": None if key is None else checked_key(key), "created_at": now, "attempts": 0,
        }  # fmt: skip
        async with self._db.transaction() as connection:
            if key is not None:
                # The key is kept from the due time on, because a repeat may come as late as that.
                asked = KeyedRequest(kind, key, digest, {"id": id_, "at": iso(due_at)})
                [known] = await enter(connection, [asked], max(now, due_at))
                if not same_body(known, asked).new:
                    first = known.answer if isinstance(known.answer, dict) else {}
                    return str(first.get("id", "")), str(first.get("at", iso(due_at))), False
            await connection.execute(sa.insert(scheduled).values(row))
        return id_, iso(due_at), True

    async def claim(self, owner: str, limit: int) -> list[ScheduledItem]:
        """Claim due items for `owner`, in order; none while another server holds a lease."""
        async with self._db.transaction() as connection:
            await _lock_claims(connection)
            now = self._clock()
            others = sa.and_(scheduled.c.owner.is_not(None), scheduled.c.owner != owner, _leased(now))
            if (await connection.execute(sa.select(scheduled.c.id).where(others).limit(1))).first() is not None:
                return []
            free = sa.and_(scheduled.c.failed_at.is_(None), scheduled.c.due_at <= now, sa.not_(_leased(now)))
            due = sa.select(scheduled).where(free).order_by(scheduled.c.due_at, scheduled.c.id).limit(limit)
            found = [item_of(row) for row in await connection.execute(due)]
            if found:
                leasing = sa.update(scheduled).where(scheduled.c.id.in_([item.id for item in found]))
                await connection.execute(leasing.values(owner=owner, held_until=now + LEASE_MS))
        return found

    async def renew(self, owner: str) -> None:
        """Renew the lease of `owner`."""
        async with self._db.transaction() as connection:
            mine = sa.update(scheduled).where(scheduled.c.owner == owner)
            await connection.execute(mine.values(held_until=self._clock() + LEASE_MS))

    async def release(self, owner: str) -> None:
        """End the lease of `owner`."""
        async with self._db.transaction() as connection:
            mine = sa.update(scheduled).where(scheduled.c.owner == owner)
            await connection.execute(mine.values(owner=None, held_until=None))

    async def done(self, ids: list[str]) -> None:
        """Remove executed items."""
        async with self._db.transaction() as connection:
            await connection.execute(sa.delete(scheduled).where(scheduled.c.id.in_(ids)))

    async def retry(self, id: str, pause_ms: int) -> None:
        """Put an item back for another attempt after `pause_ms`, at most `LONGEST_PAUSE_MS`."""
        until = self._clock() + min(pause_ms, LONGEST_PAUSE_MS)
        await self._change(id, owner=None, held_until=until, attempts=scheduled.c.attempts + 1)

    async def park(self, id: str, reason: str) -> None:
        """Park an item: it is kept with the reason and not tried again."""
        await self._change(
            id, owner=None, held_until=None, failed_at=self._clock(), error=reason[:500],
            attempts=scheduled.c.attempts + 1,
        )  # fmt: skip

    async def next_due(self) -> int | None:
        """The due time of the next item without a lease; None where there is none."""
        free = sa.and_(scheduled.c.failed_at.is_(None), sa.not_(_leased(self._clock())))
        async with self._db.reading() as connection:
            found = await connection.execute(sa.select(sa.func.min(scheduled.c.due_at)).where(free))
        due: int | None = found.scalar()
        return due

    async def failed(self) -> int:
        """The number of parked items."""
        async with self._db.reading() as connection:
            query = sa.select(sa.func.count()).where(scheduled.c.failed_at.is_not(None))
            return int((await connection.execute(query)).scalar_one())

    async def find(self, id: str) -> ScheduledItem | None:
        """The item, or None."""
        async with self._db.reading() as connection:
            row = (await connection.execute(sa.select(scheduled).where(scheduled.c.id == checked_key(id)))).first()
        return None if row is None else item_of(row)

    async def page(
        self, *, kind: str | None = None, key: str | None = None, failed: bool = False, after: str = "", limit: int = 50
    ) -> tuple[list[ScheduledItem], str | None]:
        """A page by due time, and the cursor of the next page. `failed`: the parked items, not the waiting ones.

        It ends before `limit` where the bytes of an answer do.
        """
        chosen: list[sa.ColumnElement[bool]] = [
            scheduled.c.failed_at.is_not(None) if failed else scheduled.c.failed_at.is_(None)
        ]
        if kind is not None:
            chosen.append(scheduled.c.kind == checked_key(kind))
        if key is not None:
            chosen.append(scheduled.c.key == checked_key(key))
        if after:
            chosen.append(_after_cursor(after))
        limit = min(max(limit, 1), MAX_PAGE)
        async with self._db.reading() as connection:
            query = _page(connection.dialect.name, chosen, limit)
            rows = (await connection.execute(query, room_for(ANSWER_BYTES))).all()
        page = fitting([item_of(row) for row in rows[:limit]])
        more = bool(rows) and rows[0].found > len(page)
        return [*page], f"{rows[len(page) - 1].due_at}.{page[-1].id}" if more else None

    async def cancel(self, id: str) -> bool:
        """Remove an item and its key; False where it does not exist. Raises `Conflict` while it is being executed."""
        async with self._db.transaction() as connection:
            await _lock_claims(connection)
            query = sa.select(scheduled, _leased(self._clock()).label("leased")).where(
                scheduled.c.id == checked_key(id)
            )
            row = (await connection.execute(query)).first()
            if row is None:
                return False
            if row.leased and row.owner is not None:
                raise Conflict("It is being executed")
            await connection.execute(sa.delete(scheduled).where(scheduled.c.id == row.id))
            if row.key is not None:
                same_key = sa.and_(requests.c.kind == row.kind, requests.c.key == row.key)
                await connection.execute(sa.delete(requests).where(same_key))
        return True

    async def _change(self, id: str, **values: Any) -> None:
        async with self._db.transaction() as connection:
            await connection.execute(sa.update(scheduled).where(scheduled.c.id == id).values(**values))


def _page(dialect: str, chosen: Sequence[sa.ColumnElement[bool]], limit: int) -> sa.Select[Any]:
    size = octets(dialect, scheduled.c.body, scheduled.c.error).label("size")
    near = sa.select(scheduled.c.id, scheduled.c.due_at, size).where(*chosen)
    near = near.order_by(scheduled.c.due_at, scheduled.c.id).limit(limit + 1)
    fit = within_room(near, lambda rows: [rows.due_at, rows.id])
    query = sa.select(scheduled, fit.c.found).select_from(fit).join(scheduled, scheduled.c.id == fit.c.id)
    return query.order_by(fit.c.due_at, fit.c.id)


def item_of(row: Any) -> ScheduledItem:
    """The item of a row of `scheduled`."""
    failed = None if row.failed_at is None else iso(row.failed_at)
    return ScheduledItem(
        row.id, row.kind, iso(row.due_at), row.body, row.key, iso(row.created_at), row.attempts, failed, row.error
    )


def _leased(now: int) -> sa.ColumnElement[bool]:
    until = sa.func.coalesce(scheduled.c.held_until, 0)
    return sa.and_(until > now, until <= now + max(LEASE_MS, LONGEST_PAUSE_MS))


def _after_cursor(cursor: str) -> sa.ColumnElement[bool]:
    due_at, _, id_ = cursor.partition(".")
    if not due_at.isascii() or not due_at.isdecimal() or len(due_at) > 16:
        return sa.false()
    return sa.or_(
        scheduled.c.due_at > int(due_at),
        sa.and_(scheduled.c.due_at == int(due_at), scheduled.c.id > checked_key(id_)),
    )


async def _lock_claims(connection: AsyncConnection) -> None:
    """Serialize claims of all servers. On SQLite the transaction already holds the write lock."""
    if connection.dialect.name != "sqlite":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CLAIM_LOCK)))
