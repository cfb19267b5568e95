"""Database: connections, transactions and the translation of errors, for SQLite and Postgres.

Knows nothing of tables. Every statement of the store runs inside `transaction()` or `reading()`.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver import private_files
from rtserver.errors import ConfigError
from rtserver.store.db import migrate, online_migration
from rtserver.store.db.bounded_read import BoundedReads
from rtserver.store.db.dialects import Engines
from rtserver.store.db.errors import new_trouble_log, translated
from rtserver.store.db.migrate import Migration
from rtserver.store.db.write_probe import WriteProbe

_POSTGRES = ("postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg", "postgresql+psycopg2")
_SQLITE = ("sqlite", "sqlite+aiosqlite")
_SPARE_BYTES = 1 << 20

Result = TypeVar("Result")


class Database:
    """`url`: `sqlite:///path`, `postgres://…` or `postgresql://…`. `timeout`: seconds for each operation.

    The constructor opens no connection; it raises `ConfigError` for an unusable URL. `commits` counts transactions.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._url = url
        self._engines = _open_engines(url, timeout)
        self._bounded = BoundedReads(self._engines.expensive, self._engines.interrupt)
        self._reads, self._writes = new_trouble_log(), new_trouble_log()
        self.commits = 0
        self._write_probe = WriteProbe(self._write, lambda: self.commits)

    async def connect(self) -> None:
        """Create the folder of a SQLite file and check that the database answers; raises `Unavailable`."""
        if (file := _file_of(self._url)) is not None:
            with translated(self._writes):
                private_files.make_folder(file.parent)
        await self.ping()

    async def close(self) -> None:
        """Close all connections. Safe to call twice."""
        await self._bounded.finish()
        with translated(self._reads, self._engines.errors):
            await self._engines.dispose()

    async def ping(self) -> None:
        """Raise `Unavailable` unless the database answers."""
        async with self.reading() as connection:
            await connection.execute(sa.text(self._engines.probe))

    async def check(self) -> None:
        """Raise `Unavailable` unless the database answers and takes writes; it has its tables by now."""
        await self.ping()
        await self._write_probe.check()

    async def _write(self) -> None:
        if (file := _file_of(self._url)) is not None:
            with translated(self._writes):
                await asyncio.to_thread(_check_space, file.parent)
        async with self.transaction() as connection:
            await connection.execute(sa.text(self._engines.write_probe))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end, rolled back on any error.

        Raises the errors of `rtserver.store.db.errors`.
        """
        with translated(self._writes, self._engines.errors):
            async with asyncio.timeout(self._engines.deadline), self._engines.writer.begin() as connection:
                yield connection
            self.commits += 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading: each statement is its own snapshot and waits for no writer."""
        with translated(self._reads, self._engines.errors):
            async with asyncio.timeout(self._engines.deadline), self._engines.reader.connect() as connection:
                yield connection

    async def read_expensive(self, work: Callable[[AsyncConnection], Awaitable[Result]], seconds: float) -> Result:
        """The result of `work`, a read that may take long: it has connections of its own, `EXPENSIVE_CONNECTIONS`.

        After `seconds` it is stopped in the database too, and `TimedOut` is raised. Otherwise like `reading`.
        """
        with translated(self._reads, self._engines.errors):
            return await self._bounded.run(work, seconds)

    async def migrate(self) -> Migration:
        """Bring the tables to the schema of this version, and return what was done.

        Several servers may do it at the same time. Raises `ConfigError` where a newer rtserver has created them.
        """
        engines = _open_engines(self._url, None)
        try:
            with translated(self._writes, engines.errors):
                async with engines.writer.begin() as connection:
                    done = await connection.run_sync(migrate.upgrade)
                async with engines.reader.connect() as connection:
                    await online_migration.finish(connection, drop_old=not done.steps)
                return done
        finally:
            await engines.dispose()

    async def pending(self) -> Migration:
        """Return what `migrate` would do, and change nothing; works without `connect`.

        Raises `ConfigError` where a newer rtserver has created the database, and `Unavailable`.
        """
        if (file := _file_of(self._url)) is not None and not file.exists():
            from rtserver.store.db import sqlite  # see `_open_engines`

            with translated(self._writes):
                sqlite.check_creatable(file)
            return migrate.plan_from(None)
        async with self.reading() as connection:
            return await connection.run_sync(migrate.plan)

    async def needs_migration(self) -> bool:
        """Whether the tables have another schema than this version's."""
        async with self.reading() as connection:
            return await connection.run_sync(migrate.is_due)


def _check_space(folder: Path) -> None:
    """Raise `OSError` where the disk is about to be full: what a probe writes may still fit when messages do not."""
    if shutil.disk_usage(folder).free < _SPARE_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _open_engines(url: str, timeout: float | None) -> Engines:
    """Only the driver of this database is loaded: each of them takes a good part of the start."""
    scheme = url.partition("://")[0].lower()
    if scheme in _POSTGRES:
        from rtserver.store.db import postgres

        return postgres.open_engines(url, timeout)
    if scheme in _SQLITE:
        from rtserver.store.db import sqlite

        return sqlite.open_engines(url, timeout)
    raise ConfigError(["the database URL must begin with sqlite:/// or postgresql://"])


def _file_of(url: str) -> Path | None:
    """The file of SQLite; None for Postgres."""
    if url.partition("://")[0].lower() in _POSTGRES:
        return None
    from rtserver.store.db import sqlite

    return sqlite.file_of(url)
