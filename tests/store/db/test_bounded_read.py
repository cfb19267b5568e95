"""Expensive reads: stopped in the database at their deadline, and in nobody's way; on both databases."""

import asyncio
import time

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import InvalidPayload, TimedOut
from rtserver.store.db.database import Database
from rtserver.store.db.dialects import EXPENSIVE_CONNECTIONS
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from tests.support.eventually import eventually

ENDLESS = {
    "sqlite": "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) /* endless */ FROM n",
    "postgresql": "SELECT pg_sleep(600) /* endless */",
}


class Endless:
    """Reads that do not end by themselves; counts those that have begun."""

    def __init__(self) -> None:
        self.begun = 0

    async def __call__(self, connection: AsyncConnection) -> None:
        self.begun += 1
        await connection.execute(sa.text(ENDLESS[connection.dialect.name]))

    async def fill(self) -> None:
        """Wait until they have all connections for expensive reads."""
        await eventually(lambda: self.begun == EXPENSIVE_CONNECTIONS)


@pytest.fixture
def endless() -> Endless:
    return Endless()


async def one(connection: AsyncConnection) -> int:
    return int((await connection.execute(sa.text("SELECT 1"))).scalar_one())


async def running(db: Database) -> int:
    """Statements that still run in the database, or in the threads of SQLite."""
    async with db.reading() as connection:
        if connection.dialect.name == "sqlite":
            return 0  # their connections answer again, or this test would wait
        query = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%endless%' AND pid <> "
        return int((await connection.execute(sa.text(query + "pg_backend_pid()"))).scalar_one())


async def test_a_read_that_takes_too_long_is_stopped_in_the_database(db: Database, endless: Endless) -> None:
    for _ in range(2):
        late = [db.read_expensive(endless, 0.1) for _ in range(EXPENSIVE_CONNECTIONS)]
        answers = await asyncio.gather(*late, return_exceptions=True)
        assert [type(answer) for answer in answers] == [TimedOut] * EXPENSIVE_CONNECTIONS
        assert await running(db) == 0
        again = [db.read_expensive(one, 10) for _ in range(EXPENSIVE_CONNECTIONS)]
        assert await asyncio.gather(*again) == [1] * EXPENSIVE_CONNECTIONS


async def test_a_read_whose_caller_is_gone_is_stopped(db: Database, endless: Endless) -> None:
    callers = [asyncio.create_task(db.read_expensive(endless, 600)) for _ in range(EXPENSIVE_CONNECTIONS)]
    await endless.fill()
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    again = [db.read_expensive(one, 10) for _ in range(EXPENSIVE_CONNECTIONS)]
    assert await asyncio.gather(*again) == [1] * EXPENSIVE_CONNECTIONS
    assert await running(db) == 0


async def test_expensive_reads_take_no_connection_of_other_reads_and_writes(
    db: Database, messages: Messages, endless: Endless
) -> None:
    callers = [asyncio.create_task(db.read_expensive(endless, 600)) for _ in range(EXPENSIVE_CONNECTIONS + 5)]
    await endless.fill()
    async with asyncio.timeout(5):
        await asyncio.gather(*(db.ping() for _ in range(20)))
        saved, _ = await messages.append(Draft("lobby", Author("ann", "Ann"), "hi"))
        assert await messages.history("lobby") == ([saved], False)
    started = time.monotonic()
    with pytest.raises(TimedOut):
        await db.read_expensive(one, 0.2)
    assert time.monotonic() - started < 5, "waiting for a connection counts"
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)


async def test_errors_of_the_work_reach_the_caller(db: Database) -> None:
    async def refused(_: AsyncConnection) -> None:
        raise InvalidPayload("no")

    with pytest.raises(InvalidPayload):
        await db.read_expensive(refused, 5)


async def test_a_database_closes_while_reads_are_being_stopped(db: Database, endless: Endless) -> None:
    caller = asyncio.create_task(db.read_expensive(endless, 600))
    await eventually(lambda: endless.begun == 1)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    async with asyncio.timeout(10):
        await db.close()
