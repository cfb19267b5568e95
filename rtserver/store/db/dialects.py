"""A pair of engines on one database, as `sqlite` and `postgres` make them, and where the two differ in SQL."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from rtserver.protocol import json


@dataclass(frozen=True, slots=True)
class EnginePair:
    """`writer` begins transactions that may write; `reader` commits nothing and waits for no writer."""

    writer: AsyncEngine
    reader: AsyncEngine
    probe: str
    """A statement that fails when the database cannot be read."""
    deadline: float | None
    """Seconds after which a transaction is given up from outside; None where the driver bounds it."""

    async def dispose(self) -> None:
        await self.reader.dispose()
        if self.writer is not self.reader:
            await self.writer.dispose()


def insert_into(connection: AsyncConnection, table: sa.Table) -> postgresql.Insert:
    """An INSERT that knows ON CONFLICT. The two dialects' classes are alike in all that the store uses."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)  # type: ignore[return-value]
    return postgresql.insert(table)


def matches(
    connection: AsyncConnection, columns: Sequence[sa.Column[str]], rows: Iterable[tuple[str, ...]]
) -> sa.ColumnElement[bool]:
    """`columns IN rows`, in a form that both databases answer by index, with one statement for any number of rows.

    SQLite scans the whole table for an IN of several columns, and either would prepare a statement for each length.
    """
    return matches_json(connection.dialect.name, columns, sa.literal(json.dumps(list(rows)).decode(), sa.Text))


def matches_json(
    dialect: str, columns: Sequence[sa.Column[str]], text: sa.ColumnElement[str]
) -> sa.ColumnElement[bool]:
    """`columns IN text`, which is a JSON list of lists of texts: for statements that are made once and kept."""
    if dialect == "sqlite":
        each = sa.func.json_each(text).table_valued("value", name="wanted")
        values = [sa.func.json_extract(each.c.value, f"$[{place}]") for place in range(len(columns))]
    else:
        each = sa.func.jsonb_array_elements(sa.cast(text, postgresql.JSONB)).table_valued("value", name="wanted")
        values = [sa.func.jsonb_extract_path_text(each.c.value, str(place)) for place in range(len(columns))]
    return sa.and_(*(column == value for column, value in zip(columns, values, strict=True)))


def among(connection: AsyncConnection, column: sa.Column[str], values: Iterable[str]) -> sa.ColumnElement[bool]:
    """`column IN values` for a single column, in statements that may not join, such as a DELETE."""
    return among_json(connection.dialect.name, column, sa.literal(json.dumps(list(values)).decode(), sa.Text))


def in_byte_order(connection: AsyncConnection, column: sa.Column[str]) -> sa.ColumnElement[str]:
    """For ORDER BY: as Python sorts texts, where a database of Postgres may sort them as a language does."""
    return column if connection.dialect.name == "sqlite" else sa.collate(column, "C")


def among_json(dialect: str, column: sa.ColumnElement[str], text: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """`column IN text`, which is a JSON list of texts: for statements that are made once and kept."""
    if dialect == "sqlite":
        each = sa.select(sa.func.json_each(text).table_valued("value", name="wanted").c.value)
    else:
        array = sa.func.jsonb_array_elements_text(sa.cast(text, postgresql.JSONB))
        each = sa.select(array.table_valued("value", name="wanted").c.value)
    return column.in_(each)
