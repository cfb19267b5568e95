"""Database: connections, transactions and the translation of errors, for SQLite and Postgres.

Knows nothing of tables. Every statement of the store runs inside `transaction()` or `reading()`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver import private_files
from rtserver.errors import ConfigError
from rtserver.store.db import migrate, postgres, sqlite
from rtserver.store.db.dialects import EnginePair
from rtserver.store.db.errors import translated
from rtserver.store.db.migrate import Migration


class Database:
    """`url`: `sqlite:///path`, `postgres://…` or `postgresql://…`. `timeout`: seconds for each operation.

    The constructor opens no connection; it raises `ConfigError` for an unusable URL. `commits` counts transactions.
    """

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        self._url = url
        self._engines = _open_engines(url, timeout)
        self.commits = 0

    async def connect(self) -> None:
        """Create the folder of a SQLite file and check that the database answers; raises `Unavailable`."""
        if not postgres.is_postgres(self._url):
            with translated():
                private_files.make_folder(sqlite.file_of(self._url).parent)
        await self.ping()

    async def close(self) -> None:
        """Close all connections. Safe to call twice."""
        with translated():
            await self._engines.dispose()

    async def ping(self) -> None:
        """Raise `Unavailable` unless the database answers."""
        async with self.reading() as connection:
            await connection.execute(sa.text(self._engines.probe))

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may write: committed at the end, rolled back on any error.

        Raises the errors of `rtserver.store.db.errors`.
        """
        with translated():
            async with asyncio.timeout(self._engines.deadline), self._engines.writer.begin() as connection:
                yield connection
            self.commits += 1

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reading: each statement is its own snapshot and waits for no writer."""
        with translated():
            async with asyncio.timeout(self._engines.deadline), self._engines.reader.connect() as connection:
                yield connection

    async def migrate(self) -> Migration:
        """Bring the tables to the schema of this version, and return what was done.

        Several servers may do it at the same time. Raises `ConfigError` where a newer rtserver has created them.
        """
        engines = _open_engines(self._url, None)
        try:
            with translated():
                async with engines.writer.begin() as connection:
                    return await connection.run_sync(migrate.upgrade)
        finally:
            await engines.dispose()

    async def pending(self) -> Migration:
        """Return what `migrate` would do, and change nothing; works without `connect`.

        Raises `ConfigError` where a newer rtserver has created the database, and `Unavailable`.
        """
        file = None if postgres.is_postgres(self._url) else sqlite.file_of(self._url)
        if file is not None and not file.exists():
            with translated():
                sqlite.check_creatable(file)
            return migrate.plan_from(None)
        async with self.reading() as connection:
            return await connection.run_sync(migrate.plan)

    async def needs_migration(self) -> bool:
        """Whether the tables have another schema than this version's."""
        async with self.reading() as connection:
            return await connection.run_sync(migrate.is_due)


def _open_engines(url: str, timeout: float | None) -> EnginePair:
    if postgres.is_postgres(url):
        return postgres.open_engines(url, timeout)
    if url.startswith(("sqlite://", "sqlite+aiosqlite://")):
        return sqlite.open_engines(url, timeout)
    raise ConfigError(["the database URL must begin with sqlite:/// or postgresql://"])
