"""SQLite: URL, engines and pragmas.

1. One connection writes. It takes the write lock at the beginning of its transaction (BEGIN IMMEDIATE), because
   upgrading a read lock may fail half-way. Other connections read; in WAL mode they wait for no lock.
2. `synchronous=FULL`: a commit is on the disk when it returns. NORMAL would survive kill -9, but not a power cut.
3. No other user of the machine can read the file. SQLite gives the rights of the file to those that it makes beside it.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from rtserver import private_files
from rtserver.errors import ConfigError
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS, Engines

_READERS = 4
_WRITER_PRAGMAS = ("synchronous=FULL", "foreign_keys=ON", "journal_size_limit=67108864")
_READER_PRAGMAS = ("query_only=ON", "cache_size=-512")
_MIGRATION_SECONDS = 60.0
_RETRY_SECONDS = 0.01
_BESIDE = ("", "-wal", "-shm", "-journal")
"""What is added to the name of the file for the name of each that SQLite makes."""


def file_of(url: str) -> Path:
    """The file of `sqlite:///relative.db` or `sqlite:////absolute.db`; raises `ConfigError`."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError(["the database URL cannot be read; write sqlite:///path/to/file.db"]) from None
    if parsed.host or parsed.query or not parsed.database or parsed.database.startswith((":memory:", "file:")):
        raise ConfigError(["the database URL must name a file: sqlite:///path/to/file.db"])
    return Path(parsed.database)


def check_creatable(file: Path) -> None:
    """Raise `OSError` where the file could not be made; leaves nothing behind."""
    above = next(each for each in file.absolute().parents if each.exists())
    try:
        TemporaryFile(dir=above).close()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from None


def open_engines(url: str, timeout: float | None) -> Engines:
    """`timeout`: seconds to wait for the write lock of another process; None: as long as a migration may take."""
    wait = _MIGRATION_SECONDS if timeout is None else timeout
    file = file_of(url)
    writer = _engine(file, wait, 1, _WRITER_PRAGMAS)
    sa.event.listen(writer.sync_engine, "connect", lambda it, _: it.run_async(lambda driver: _to_wal(driver, wait)))
    sa.event.listen(writer.sync_engine, "begin", _begin_immediate)
    reader, expensive = (_engine(file, wait, size, _READER_PRAGMAS) for size in (_READERS, EXPENSIVE_CONNECTIONS))
    # Unlike an UPDATE to the same value, it writes a page.
    write = "PRAGMA user_version = 0"
    probe = "SELECT count(*) FROM sqlite_master"
    return Engines(writer, reader, expensive, probe, write, None, interrupt=aiosqlite.Connection.interrupt)


def _engine(file: Path, wait: float, size: int, pragmas: tuple[str, ...]) -> AsyncEngine:
    engine = create_async_engine(
        sa.URL.create("sqlite+aiosqlite", database=str(file)),
        pool_size=size,
        max_overflow=0,
        pool_timeout=wait,
        hide_parameters=True,
        connect_args={"timeout": wait},
    )

    def prepare(connection: Any, record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions by itself
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").close()

    sa.event.listen(engine.sync_engine, "do_connect", lambda *_: _make_private(file))
    sa.event.listen(engine.sync_engine, "connect", prepare)
    return engine


def _make_private(file: Path) -> None:
    """Create the file before SQLite would do it with the rights that the umask leaves; leave others none (rule 3)."""
    file = file.resolve()
    try:
        os.close(private_files.open_new(file))
    except FileExistsError:
        for suffix in _BESIDE:
            private_files.close_to_others(file.with_name(file.name + suffix))
    except OSError:
        return  # SQLite meets the same error, and its text is translated


async def _to_wal(connection: aiosqlite.Connection, wait: float) -> None:
    """Switch the file to WAL mode. The mode persists, but files from `VACUUM INTO` or a restore do not have it yet.

    Where two connections switch at once, SQLite fails one of them immediately, whatever its timeout: hence the loop.
    """
    end = time.monotonic() + wait
    while True:
        try:
            await connection.execute_fetchall("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
        await asyncio.sleep(_RETRY_SECONDS)


def _begin_immediate(connection: sa.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
