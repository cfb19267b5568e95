"""Creating and migrating the tables; on both databases."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from rtserver.errors import ConfigError, Unavailable
from rtserver.store.db import migrate
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from rtserver.store.messages.search import Search
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import metadata
from tests.store.conftest import OpenMessages


@pytest.fixture
async def empty(database_url: str) -> Database:
    db = Database(database_url)
    await db.connect()
    return db


async def test_an_empty_database_is_due_until_it_is_migrated(empty: Database) -> None:
    assert await empty.needs_migration()
    with pytest.raises(Unavailable):
        await Rooms(empty).members("lobby")
    await empty.migrate()
    assert not await empty.needs_migration()
    assert await Rooms(empty).members("lobby") == []
    await empty.close()


async def test_migrating_again_keeps_everything(db: Database, messages: Messages, open_messages: OpenMessages) -> None:
    saved, _ = await messages.append(Draft("lobby", Author("ann", "Ann"), "hi"))
    await db.migrate()
    assert await messages.history("lobby", before=None, after=None, limit=5) == ([saved], False)


async def test_servers_that_start_together_migrate_once(database_url: str) -> None:
    servers = [Database(database_url) for _ in range(4)]
    await asyncio.gather(*(server.connect() for server in servers))
    await asyncio.gather(*(server.migrate() for server in servers))
    assert not any([await server.needs_migration() for server in servers])
    for server in servers:
        await server.close()


async def test_the_migrations_create_the_tables_that_the_code_uses(db: Database) -> None:
    def ours(item: object, name: str | None, *_: object) -> bool:
        """The search index has no table in the code: each database has its own form of it."""
        return not (name or "").startswith(("search_", "ix_messages_search"))

    def differences(connection: sa.Connection) -> list[object]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        return list(compare_metadata(context, metadata))

    async with db.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_existing_messages_are_found_in_scripts_without_spaces(empty: Database) -> None:
    def upgrade(connection: sa.Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0005")

    async with empty.transaction() as connection:
        await connection.run_sync(upgrade)
        await connection.execute(sa.text("INSERT INTO rooms (room, last_seq, active_at) VALUES ('lobby', 2, 0)"))
        await connection.execute(sa.text("INSERT INTO members VALUES ('lobby', 'ann', 'Ann', 0)"))
        row = "('lobby', :seq, :id, 'bob', 'Bob', :text, 0)"
        columns = "room, seq, id, author_id, author_name, text, sent_at"
        sent = [{"seq": 1, "id": "a", "text": "我们今天去北京"}, {"seq": 2, "id": "b", "text": "plain"}]
        await connection.execute(sa.text(f"INSERT INTO messages ({columns}) VALUES {row}"), sent)
    await empty.migrate()
    for query, ids in {"北京": ["a"], "plain": ["b"], "京北": []}.items():
        found, _ = await Search(empty).find("ann", query)
        assert [message.id for message in found] == ids, query
    await empty.close()


async def test_a_database_of_a_newer_version_is_not_changed(db: Database) -> None:
    async with db.transaction() as connection:
        await connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    assert await db.needs_migration()
    with pytest.raises(ConfigError, match="newer"):
        await db.migrate()


def test_the_head_is_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(migrate._config()).get_heads() == [migrate.HEAD]


def test_tables_that_are_up_to_date_are_not_migrated_again(tmp_path: Path) -> None:
    """A start does not load alembic, which takes a tenth of it."""
    script = "import asyncio, sys; from rtserver.store.db.database import Database\n" + (
        "async def main(url):\n    db = Database(url); await db.connect(); await db.migrate(); await db.close()\n"
        "asyncio.run(main(sys.argv[1])); print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/a.db"]
    loaded = [subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() for _ in range(2)]
    assert loaded == ["True", "False"]
