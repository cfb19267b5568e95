"""Upload store: one row for each uploaded file, written after the file and removed after it.

1. A file without a row is an orphan of a crash. It is removed after an hour, by the second sweep that finds it: when
   the clock was just set, a file that is still being saved may look old. A row without its file is reported as not
   found.
2. The quota of a user, in bytes and in files, is checked together with the insertion of the row, under a lock of the
   user. What this server is still receiving from the user counts before, so that no more than the quota is written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import contextmanager
from typing import NamedTuple

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


class Quota(NamedTuple):
    """What one user may have: bytes in all files, and files; 0: no limit."""

    size: int = 0
    files: int = 0


class _Unfinished:
    """A file that is being received; `size`: bytes so far."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 0


class Uploads:
    """The owner "" is a backend, which has no quota."""

    def __init__(self, db: Database, storage: Storage, *, quota: Quota = Quota()) -> None:  # noqa: B008  # immutable
        self._db = db
        self._storage = storage
        self._quota = quota
        self._unfinished: dict[str, list[_Unfinished]] = {}
        """By owner."""
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
        if owner and any(self._quota):
            with self._receiving(owner) as file:
                async with self._db.reading() as connection:
                    files, used = await _held(connection, owner)
                unfinished = self._unfinished[owner]
                self._check_quota(files + len(unfinished), used + _size(unfinished) + 1)
                size = await self._storage.save(key, self._counted(owner, file, used, chunks))
        else:
            size = await self._storage.save(key, chunks)
        now = now_ms()
        row = {"id": key, "owner": owner, "name": name, "type": type_, "size": size, "created_at": now}
        try:
            async with self._db.transaction() as connection:
                if connection.dialect.name != "sqlite":
                    one = sa.func.pg_advisory_xact_lock(_LOCK_CLASS, sa.func.hashtext(owner))
                    await connection.execute(sa.select(one))
                if owner and any(self._quota):
                    files, used = await _held(connection, owner)
                    self._check_quota(files + 1, used + size)
                await connection.execute(sa.insert(uploads).values(row))
                if key not in self._saving:
                    raise Unavailable("The user has been erased meanwhile")
        except EventError:
            await self._storage.delete(key)
            raise
        return Upload(key, name, type_, size, iso(now))

    @contextmanager
    def _receiving(self, owner: str) -> Iterator[_Unfinished]:
        """Count one more file of the user as unfinished."""
        file = _Unfinished()
        self._unfinished.setdefault(owner, []).append(file)
        try:
            yield file
        finally:
            self._unfinished[owner].remove(file)
            if not self._unfinished[owner]:
                del self._unfinished[owner]

    async def _counted(
        self, owner: str, file: _Unfinished, used: int, chunks: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes]:
        """Yield the chunks; raises `TooLarge` as soon as they cannot all be within the quota."""
        async for chunk in chunks:
            file.size += len(chunk)
            self._check_quota(0, used + _size(self._unfinished[owner]))
            yield chunk

    def _check_quota(self, files: int, size: int) -> None:
        """Raise `TooLarge` where a user would have more files, or more bytes in them, than allowed."""
        quota = self._quota
        if quota.files and files > quota.files:
            raise TooLarge(f"One user has at most {quota.files} files", details={"limit": quota.files})
        if quota.size and size > quota.size:
            message = f"The files of one user have at most {quota.size} bytes together"
            raise TooLarge(message, details={"limit": quota.size})

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


async def _held(connection: AsyncConnection, owner: str) -> tuple[int, int]:
    """Return the number of files that a user has, and the bytes in them."""
    query = sa.select(sa.func.count(), sa.func.sum(uploads.c.size)).where(uploads.c.owner == checked_key(owner))
    files, size = (await connection.execute(query)).one()
    return files, int(size or 0)


def _size(unfinished: list[_Unfinished]) -> int:
    return sum(file.size for file in unfinished)
