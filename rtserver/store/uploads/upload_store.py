"""Who has uploaded which file: a row each, written after the file, and removed after it.

1. A file without a row is an orphan of a crash, and is swept after an hour: by the second sweep that finds it, for by
   a clock that was just set one that is being saved looks old. A row without its file answers not found.
2. What a user may keep in all is checked with the row, under a lock of the user.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso, now_ms
from rtserver.errors import EventError, TooLarge
from rtserver.store.db.column_types import checked_key, checked_text
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.schema import uploads
from rtserver.store.uploads.file_storage import Storage, new_key

ORPHANED_SECONDS = 3600.0
BATCH = 100
_LOCK_CLASS = 0x7570  # of advisory locks, the same in every server


class Upload(Struct, frozen=True, rename="camel"):
    """A file that somebody has uploaded. Its `id` is all that is needed to read it."""

    id: str
    name: str
    type: str
    size: int
    created_at: str


class Uploads:
    """`quota`: bytes in all files of one user; 0 is no limit. An owner of "" is a backend, which has none."""

    def __init__(self, db: Database, storage: Storage, *, quota: int = 0) -> None:
        self._db = db
        self._storage = storage
        self._quota = quota
        self._orphans: set[str] = set()
        """Those that the last sweep found."""

    async def save(self, owner: str, name: str, type_: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Keep a file. Raises `TooLarge` past the quota, `Unavailable` when it is not kept."""
        checked_text(name)
        await self._check_quota(owner)
        key = new_key()
        size = await self._storage.save(key, chunks)
        now = now_ms()
        row = {"id": key, "owner": owner, "name": name, "type": type_, "size": size, "created_at": now}
        try:
            async with self._db.transaction() as connection:
                if connection.dialect.name != "sqlite":
                    one = sa.func.pg_advisory_xact_lock(_LOCK_CLASS, sa.func.hashtext(owner))
                    await connection.execute(sa.select(one))
                if self._quota and owner and await _used(connection, owner) + size > self._quota:
                    raise _over(self._quota)
                await connection.execute(sa.insert(uploads).values(row))
        except EventError:
            await self._storage.delete(key)
            raise
        return Upload(key, name, type_, size, iso(now))

    async def find(self, id: str) -> tuple[Upload, str] | None:
        """The file and its owner."""
        async with self._db.reading() as connection:
            row = (await connection.execute(sa.select(uploads).where(uploads.c.id == checked_key(id)))).first()
        return None if row is None else (Upload(row.id, row.name, row.type, row.size, iso(row.created_at)), row.owner)

    def read(self, id: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        return self._storage.read(id, start, length)

    async def delete(self, ids: list[str]) -> None:
        """First the files, so that nothing stays that nobody can find."""
        for id_ in ids:
            await self._storage.delete(id_)
        async with self._db.transaction() as connection:
            await connection.execute(sa.delete(uploads).where(among(connection, uploads.c.id, ids)))

    async def erase(self, user: str) -> int:
        """Remove some of the user's files; how many. 0 when none is left."""
        async with self._db.reading() as connection:
            mine = sa.select(uploads.c.id).where(uploads.c.owner == checked_key(user)).limit(BATCH)
            ids = list((await connection.execute(mine)).scalars())
        if ids:
            await self.delete(ids)
        return len(ids)

    async def sweep(self) -> int:
        """Remove files that no row knows, nor knew at the last sweep; 0, as none is left."""
        after, orphans = "", set[str]()
        while old := await self._storage.keys(ORPHANED_SECONDS, after):
            async with self._db.reading() as connection:
                query = sa.select(uploads.c.id).where(among(connection, uploads.c.id, old))
                known = set((await connection.execute(query)).scalars())
            for key in old:
                if key in self._orphans and key not in known:
                    await self._storage.delete(key)
                elif key not in known:
                    orphans.add(key)
            after = old[-1]
        self._orphans = orphans
        return 0

    async def _check_quota(self, owner: str) -> None:
        """Before anything is written for somebody whose place is full."""
        if not self._quota or not owner:
            return
        async with self._db.reading() as connection:
            if await _used(connection, owner) >= self._quota:
                raise _over(self._quota)


async def _used(connection: AsyncConnection, owner: str) -> int:
    query = sa.select(sa.func.sum(uploads.c.size)).where(uploads.c.owner == checked_key(owner))
    return int((await connection.execute(query)).scalar() or 0)


def _over(quota: int) -> TooLarge:
    return TooLarge(f"The files of one user have at most {quota} bytes together", details={"limit": quota})
