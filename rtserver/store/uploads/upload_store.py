"""Upload store: one row for each uploaded file, written after the file and removed after it.

1. A file without a row is an orphan of a crash. It is removed after an hour, by the second sweep that finds it: when
   the clock was just set, a file that is still being saved may look old. A row without its file is reported as not
   found.
2. The quota of a user is checked together with the insertion of the row, under a lock of the user.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.clock import iso, now_ms
from rtserver.errors import EventError, TooLarge, Unavailable
from rtserver.store.db.column_types import checked_key, checked_text
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import among
from rtserver.store.db.write_probe import WriteProbe
from rtserver.store.schema import uploads
from rtserver.store.uploads.file_storage import Storage, new_key

ORPHANED_SECONDS = 3600.0
BATCH = 100
_LOCK_CLASS = 0x7570  # of advisory locks, the same in every server


class Upload(Struct, frozen=True, rename="camel"):
    """An uploaded file. Its `id` is the only thing needed to read it. `size`: bytes."""

    id: str
    name: str
    type: str
    size: int
    created_at: str


class Uploads:
    """`quota`: bytes in all files of one user; 0: no limit. The owner "" is a backend, which has no quota."""

    def __init__(self, db: Database, storage: Storage, *, quota: int = 0) -> None:
        self._db = db
        self._storage = storage
        self._quota = quota
        self._write_probe = WriteProbe(storage.probe)
        self._orphans: set[str] = set()
        """The orphans found by the last sweep."""
        self._saving: dict[str, str] = {}
        """The owners of the files that are being saved, by key."""

    async def check(self) -> None:
        """Raise `Unavailable` unless files can be saved."""
        await self._write_probe.check()

    async def save(self, owner: str, name: str, type_: str, chunks: AsyncIterator[bytes]) -> Upload:
        """Save a file. Raises `TooLarge` beyond the quota, `Unavailable` when it could not be saved."""
        checked_text(name)
        await self._check_quota(owner)
        key = new_key()
        self._saving[key] = owner
        try:
            return await self._save(key, owner, name, type_, chunks)
        finally:
            self._saving.pop(key, None)

    def abandon(self, owner: str) -> None:
        """Let no file be kept that is being saved for this user on this server: the user is being erased."""
        for key in [key for key, known in self._saving.items() if known == owner]:
            del self._saving[key]

    async def _save(self, key: str, owner: str, name: str, type_: str, chunks: AsyncIterator[bytes]) -> Upload:
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
                if key not in self._saving:
                    raise Unavailable("The user has been erased meanwhile")
        except EventError:
            await self._storage.delete(key)
            raise
        return Upload(key, name, type_, size, iso(now))

    async def find(self, id: str) -> tuple[Upload, str] | None:
        """The file and its owner, or None."""
        async with self._db.reading() as connection:
            row = (await connection.execute(sa.select(uploads).where(uploads.c.id == checked_key(id)))).first()
        return None if row is None else (Upload(row.id, row.name, row.type, row.size, iso(row.created_at)), row.owner)

    def read(self, id: str, start: int, length: int) -> AsyncGenerator[bytes, None]:
        """`length` bytes of the file from `start`, in chunks; raises `NotFound` before the first one."""
        return self._storage.read(id, start, length)

    async def delete(self, ids: list[str]) -> None:
        """Delete the files, then their rows, so that no unknown file remains."""
        for id_ in ids:
            await self._storage.delete(id_)
        async with self._db.transaction() as connection:
            await connection.execute(sa.delete(uploads).where(among(connection, uploads.c.id, ids)))

    async def erase(self, user: str) -> int:
        """Remove up to `BATCH` files of an erased user; returns how many, 0 when none is left."""
        async with self._db.reading() as connection:
            mine = sa.select(uploads.c.id).where(uploads.c.owner == checked_key(user)).limit(BATCH)
            ids = list((await connection.execute(mine)).scalars())
        if ids:
            await self.delete(ids)
        return len(ids)

    async def sweep(self) -> int:
        """Remove files without a row in this sweep and the last one (rule 1). Always returns 0: one call does all."""
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
        """Reject a user whose quota is used up before the file is written."""
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
