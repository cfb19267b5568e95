"""What the two databases do differently."""

import pytest
import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.db.dialects import matches
from rtserver.store.schema import messages

KEY = [messages.c.author_id, messages.c.room, messages.c.nonce]


async def test_nonces_are_looked_up_by_index_however_many_messages_there_are(db: Database) -> None:
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
async def test_postgres_compiles_no_statement(db: Database) -> None:
    """It would take longer than all that a join asks, and does so by default."""
    async with db.reading() as connection:
        assert (await connection.exec_driver_sql("SHOW jit")).scalar() == "off"
