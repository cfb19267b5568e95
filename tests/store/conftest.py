"""The contract suite runs on both databases: every test that uses `database_url` runs on each."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from rtserver.store.db.database import Database
from rtserver.store.db.postgres import dsn_of
from rtserver.store.messages.message_store import Messages
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_store import Rooms
from tests.support.postgres import PostgresServer

OpenDatabase = Callable[..., Awaitable[Database]]
OpenMessages = Callable[..., Awaitable[Messages]]


@pytest.fixture(scope="session")
def one_postgres(_postgres: PostgresServer) -> str:
    """The Postgres database of this suite: emptying it is much faster than creating one for each test."""
    return _postgres.new_database()


@pytest.fixture(params=["sqlite", "postgres"])
async def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, not migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    url = str(request.getfixturevalue("one_postgres"))
    connection = await asyncpg.connect(dsn_of(url))
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    return url


@pytest.fixture
async def open_database(database_url: str) -> AsyncIterator[OpenDatabase]:
    """`await open_database()`: one more Database on the same data, as another server process has it."""
    opened: list[Database] = []

    async def open_one(timeout: float = 10.0) -> Database:
        db = Database(database_url, timeout=timeout)
        opened.append(db)
        await db.connect()
        await db.migrate()
        return db

    yield open_one
    for db in opened:
        await db.close()


@pytest.fixture
async def db(open_database: OpenDatabase) -> Database:
    return await open_database()


@pytest.fixture
async def open_messages(db: Database) -> AsyncIterator[OpenMessages]:
    """`await open_messages(database)`: started Messages, stopped with the test."""
    started: list[Messages] = []

    async def open_one(database: Database = db) -> Messages:
        messages = Messages(database)
        started.append(messages)
        await messages.start()
        return messages

    yield open_one
    for messages in started:
        await messages.stop()


@pytest.fixture
async def messages(open_messages: OpenMessages) -> Messages:
    return await open_messages()


@pytest.fixture
def rooms(db: Database) -> Rooms:
    return Rooms(db)


@pytest.fixture
async def receipts(db: Database) -> AsyncIterator[ReadCursors]:
    receipts = ReadCursors(db)
    await receipts.start()
    yield receipts
    await receipts.stop()


@pytest.fixture
def notifications(db: Database) -> Notifications:
    return Notifications(db)


@pytest.fixture
def preference_store(db: Database) -> PreferenceStore:
    return PreferenceStore(db)


@pytest.fixture
async def deliveries(db: Database) -> AsyncIterator[DeliveryReceipts]:
    started = DeliveryReceipts(db)
    await started.start()
    yield started
    await started.stop()
