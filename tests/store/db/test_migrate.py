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
from sqlalchemy.ext.asyncio import AsyncConnection

from rtserver.errors import ConfigError, Unavailable
from rtserver.store.db import migrate, online_migration
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from rtserver.store.messages.search import Search
from rtserver.store.messages.search_tokens import text_columns
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import metadata
from tests.store.conftest import OpenMessages
from tests.support.eventually import eventually


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


async def made_by(db: Database, revision: str) -> None:
    """Create the tables of an older version, with two messages."""

    def upgrade(connection: sa.Connection) -> None:
        config = migrate._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with db.transaction() as connection:
        await connection.run_sync(upgrade)
        await connection.execute(sa.text("INSERT INTO rooms (room, last_seq, active_at) VALUES ('lobby', 2, 0)"))
        await connection.execute(sa.text("INSERT INTO members VALUES ('lobby', 'ann', 'Ann', 0)"))
        await say(connection, (1, "a", "我们今天去北京"), (2, "b", "plain"))


async def say(connection: AsyncConnection, *sent: tuple[int, str, str]) -> None:
    """Insert messages as an older version does, with the words of those in scripts without spaces."""
    known = await connection.run_sync(lambda it: {column["name"] for column in sa.inspect(it).get_columns("messages")})
    columns = ["room", "seq", "id", "author_id", "author_name", "text", "sent_at"]
    columns += ["words"] if "words" in known else []
    rows = [
        {"room": "lobby", "seq": seq, "id": id_, "author_id": "bob", "author_name": "Bob", "sent_at": 0}
        | text_columns(text)
        for seq, id_, text in sent
    ]
    await connection.execute(sa.insert(sa.table("messages", *map(sa.column, columns))), rows)


async def found(db: Database, query: str) -> list[str]:
    return [message.id for message in (await Search(db).find("ann", query))[0]]


async def test_existing_messages_are_found_in_scripts_without_spaces(empty: Database) -> None:
    await made_by(empty, "0005")
    await empty.migrate()
    assert not await empty.needs_migration()
    for query, ids in {"北京": ["a"], "plain": ["b"], "京北": []}.items():
        assert await found(empty, query) == ids, query
    await empty.close()


async def old_index(db: Database) -> bool:
    async with db.reading() as connection:
        names = await connection.run_sync(lambda it: sa.inspect(it).get_indexes("messages"))
    return "ix_messages_search" in {index["name"] for index in names}


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_older_servers_search_and_write_until_the_next_migration(empty: Database) -> None:
    await made_by(empty, "0006")
    await empty.migrate()
    assert await old_index(empty), "servers of the version before still use it"
    async with empty.transaction() as connection:
        await say(connection, (3, "c", "今天 from an older server"))
        await connection.execute(sa.text("UPDATE messages SET text = 'edited' WHERE id = 'b'"))
        await connection.execute(sa.text("UPDATE messages SET text = '', words = NULL, deleted_at = 1 WHERE id = 'a'"))
    for query, ids in {"今天": ["c"], "edited": ["b"], "plain": [], "older ser": ["c"]}.items():
        assert await found(empty, query) == ids, query
    assert (await empty.migrate()).steps == ()
    assert not await old_index(empty)
    await empty.migrate()
    assert await found(empty, "edited") == ["b"]
    await empty.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_an_interrupted_migration_is_continued(empty: Database) -> None:
    await made_by(empty, "0006")
    async with empty.transaction() as connection:
        await say(connection, *((n, f"m{n}", f"number {n}") for n in range(3, 2 * online_migration.PAGE + 10)))
        await connection.run_sync(migrate.upgrade)
    assert await empty.needs_migration(), "the messages are not filled in, and there is no index"
    async with empty.transaction() as connection:
        broken = "CREATE INDEX ix_messages_search_terms ON messages (sent_at)"
        await connection.execute(sa.text(broken))
        await connection.execute(
            sa.text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass('ix_messages_search_terms')")
        )
    assert await empty.needs_migration(), "the index was not completed"
    await empty.migrate()
    assert not await empty.needs_migration()
    assert await found(empty, "number 317") == ["m317"]
    async with empty.reading() as connection:
        left = "SELECT count(*) FROM messages WHERE search_terms IS NULL"
        assert (await connection.execute(sa.text(left))).scalar_one() == 0
    await empty.close()


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_messages_are_written_and_changed_during_the_migration(database_url: str, empty: Database) -> None:
    """A transaction that holds a message makes the migration wait, and not the other way round."""
    await made_by(empty, "0006")
    async with empty.transaction() as connection:
        await say(connection, *((n, f"m{n}", f"number {n}") for n in range(3, 3 * online_migration.PAGE)))
        await connection.run_sync(migrate.upgrade)
    server = Database(database_url)

    async def all_others_are_filled() -> bool:
        async with server.reading() as connection:
            left = sa.text("SELECT count(*) FROM messages WHERE search_terms IS NULL")
            return (await connection.execute(left)).scalar_one() == 1

    async with server.transaction() as held:
        await held.execute(sa.text("UPDATE messages SET rev = 1 WHERE id = 'm5'"))
        migrating = asyncio.create_task(empty.migrate())
        await eventually(all_others_are_filled)
        await held.execute(sa.text("UPDATE messages SET rev = 2 WHERE id = 'm6'"))
        assert not migrating.done()
    await migrating
    assert await found(empty, "number 5") == ["m5"]
    await server.close()
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
