"""Dialects: the engines that `sqlite` and `postgres` create, and the SQL in which the two databases differ."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import UserDefinedType

from rtserver.protocol import json
from rtserver.store.db.errors import DriverErrors

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

Interrupt = Callable[[Any], Awaitable[None]]

EXPENSIVE_CONNECTIONS = 2
"""Connections for reads that may take long: as many run at once, on SQLite each in a thread of this process."""


@dataclass(frozen=True, slots=True)
class Engines:
    """`writer` begins transactions that may write. `reader` commits nothing and never waits for a writer.

    `expensive` has connections of its own, so that what takes long there occupies none of `reader`.
    """

    writer: AsyncEngine
    reader: AsyncEngine
    expensive: AsyncEngine
    probe: str
    """A statement that fails when the database cannot be read."""
    write_probe: str
    """A statement that writes, and changes nothing; it fails on a full disk."""
    deadline: float | None
    """Seconds after which the caller gives up a transaction; None where the driver limits it."""
    errors: DriverErrors = ()
    """Those of the driver that SQLAlchemy passes on."""
    interrupt: Interrupt | None = None
    """What stops the statement that a connection of the driver runs; None where cancelling its task does."""

    async def dispose(self) -> None:
        """Close all connections."""
        await self.expensive.dispose()
        await self.reader.dispose()
        if self.writer is not self.reader:
            await self.writer.dispose()


class _Jsonb(UserDefinedType[Any]):
    """Postgres' `JSONB` for casts. SQLAlchemy's own would load the dialect of Postgres on SQLite too."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "JSONB"


def insert_into(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert:
    """An INSERT with ON CONFLICT. The classes of the two dialects share everything that the store uses."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)  # type: ignore[return-value]
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table)


def matches(
    connection: AsyncConnection, columns: Sequence[sa.Column[str]], rows: Iterable[tuple[str, ...]]
) -> sa.ColumnElement[bool]:
    """`columns IN rows`, in a form that both databases answer by index, with one statement for any number of rows.

    For an IN with several columns, SQLite scans the whole table. With a plain IN, both databases would also prepare a
    separate statement for each number of rows.
    """
    return matches_json(connection.dialect.name, columns, sa.literal(json.dumps(list(rows)).decode(), sa.Text))


def matches_json(
    dialect: str, columns: Sequence[sa.Column[str]], text: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """`matches` for cached statements: `text` is a parameter with the rows as JSON, a list of lists of strings."""
    if dialect == "sqlite":
        each = sa.func.json_each(text).table_valued("value", name="wanted")
        values = [sa.func.json_extract(each.c.value, f"$[{place}]") for place in range(len(columns))]
    else:
        each = sa.func.jsonb_array_elements(sa.cast(text, _Jsonb)).table_valued("value", name="wanted")
        values = [sa.func.jsonb_extract_path_text(each.c.value, str(place)) for place in range(len(columns))]
    return sa.and_(*(column == value for column, value in zip(columns, values, strict=True)))


def among(connection: AsyncConnection, column: sa.Column[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """`column IN values` for one column; also for statements that cannot join, such as DELETE."""
    return among_json(connection.dialect.name, column, sa.literal(json.dumps(list(values)).decode(), sa.Text))


def in_byte_order(connection: AsyncConnection, column: sa.Column[str]) -> sa.ColumnElement[str]:
    """For ORDER BY: the order in which Python sorts strings. Postgres may use the order of a language otherwise."""
    return column if connection.dialect.name == "sqlite" else sa.collate(column, "C")


def among_json(dialect: str, column: sa.ColumnElement[str], text: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """`among` for cached statements: `text` is a parameter with the values as JSON, a list of strings."""
    if dialect == "sqlite":
        each = sa.select(sa.func.json_each(text).table_valued("value", name="wanted").c.value)
    else:
        array = sa.func.jsonb_array_elements_text(sa.cast(text, _Jsonb))
        each = sa.select(array.table_valued("value", name="wanted").c.value)
    return column.in_(each)
