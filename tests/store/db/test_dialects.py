"""Differences of the two databases."""

import pytest
import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.db.dialects import matches
from rtserver.store.schema import messages

KEY = [messages.c.author_id, messages.c.room, messages.c.nonce]


async def test_nonces_are_looked_up_by_index(db: Database) -> None:
    rows = [(f"user{i}", "lobby", "n") for i in range(100)]
    async with db.reading() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.text("SET enable_seqscan = off"))  # an empty table is scanned otherwise
        query = sa.select(messages.c.seq).where(matches(connection, KEY, rows))
        sql = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
        explain = "EXPLAIN QUERY PLAN" if connection.dialect.name == "sqlite" else "EXPLAIN"
        plan = "\n".join(str(row) for row in await connection.exec_driver_sql(f"{explain} {sql}"))
    assert "ix_messages_nonce" in plan
    assert "SCAN messages" not in plan
    assert "Seq Scan on messages" not in plan


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_postgres_does_not_jit_compile_statements(db: Database) -> None:
    """It is on by default and would take longer than all queries of a join."""
    async with db.reading() as connection:
        assert (await connection.exec_driver_sql("SHOW jit")).scalar() == "off"
