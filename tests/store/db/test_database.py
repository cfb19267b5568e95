"""Database URLs, and the errors of a failing database."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from rtserver.errors import ConfigError, Unavailable
from rtserver.store.db.database import Database
from rtserver.store.db.postgres import dsn_of
from rtserver.store.db.sqlite import file_of
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms.room_store import Rooms
from tests.store.conftest import OpenDatabase
from tests.support.ports import free_port
from tests.support.postgres import PostgresServer

ANN = Author("ann", "Ann")


@pytest.mark.parametrize(
    "url",
    ["", "nonsense", "mysql://u:hunter2@h/d", "sqlite://", "sqlite:///:memory:", "sqlite://hunter2/x", "redis://x",
     "sqlite:///x?mode=ro", "postgresql://u:hunter2@h:port/d", "postgresql://u:hunter2@[::1/d"],
)  # fmt: skip
def test_an_invalid_url_is_rejected_without_showing_its_password(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Database(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
def test_the_usual_postgres_urls_are_accepted(scheme: str) -> None:
    assert dsn_of(f"{scheme}://u:p%40ss@db:5433/chat?sslmode=require&channel_binding=require") == (
        "postgresql://u:p%40ss@db:5433/chat?sslmode=require"
    )
    assert dsn_of(f"{scheme}://a:1,b:2/chat") == "postgresql://a:1,b:2/chat"


def test_the_usual_sqlite_urls_are_accepted() -> None:
    assert file_of("sqlite:///var/x.db") == Path("var/x.db")
    assert file_of("sqlite:////srv/x.db") == Path("/srv/x.db")
    assert file_of("sqlite+aiosqlite:////srv/x.db") == Path("/srv/x.db")


async def test_the_folder_of_a_sqlite_file_is_created(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/a/b/rtserver.db")
    await db.connect()
    await db.close()
    await db.close()
    assert (tmp_path / "a/b/rtserver.db").exists()


async def test_several_servers_can_start_on_a_restored_sqlite_file(tmp_path: Path) -> None:
    """Such a file is not in WAL mode, and of several connections that switch it at once SQLite fails all but one."""
    for attempt in range(30):
        file = tmp_path / f"{attempt}.db"
        with sqlite3.connect(file) as restored:
            restored.execute("CREATE TABLE t (x)")
        restored.close()
        servers = [Database(f"sqlite:///{file}") for _ in range(6)]
        await asyncio.gather(*(_insert(server) for server in servers))
        for server in servers:
            await server.close()


async def _insert(server: Database) -> None:
    async with server.transaction() as connection:
        await connection.execute(sa.text("INSERT INTO t VALUES (1)"))


async def test_sqlite_flushes_a_commit_to_the_disk(tmp_path: Path) -> None:
    """WAL, and synchronous=FULL: an acked message survives a power cut too."""
    db = Database(f"sqlite:///{tmp_path}/x.db")
    async with db.transaction() as connection:
        values = [
            (await connection.execute(sa.text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert values == ["wal", 2, 1]
    await db.close()


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"not a database " * 100)
    db = Database(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(Unavailable):
        await db.connect()
    await db.close()


async def test_a_folder_that_cannot_be_created_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable):
        await Database(f"sqlite:///{tmp_path}/file/x.db").connect()


async def test_missing_postgres_is_unavailable_and_its_password_not_logged() -> None:
    db = Database(f"postgresql://user:hunter2@127.0.0.1:{free_port()}/chat", timeout=2)
    with capture_logs() as logs, pytest.raises(Unavailable) as told:
        await db.connect()
    assert [entry["event"] for entry in logs] == ["database_trouble"]
    assert "hunter2" not in f"{logs} {told.value}"
    await db.close()


async def test_an_unknown_database_is_unavailable(postgres_url: str) -> None:
    db = Database(postgres_url + "x")
    with pytest.raises(Unavailable):
        await db.connect()
    await db.close()


async def test_texts_of_messages_are_not_logged(db: Database) -> None:
    """A driver's error may quote the row; the log must not."""
    with capture_logs() as logs, pytest.raises(Unavailable):
        async with db.transaction() as connection:
            await connection.execute(sa.text("INSERT INTO nowhere VALUES (:text)"), {"text": "dear diary"})
    assert logs
    assert "dear diary" not in str(logs)


async def test_a_write_lock_held_elsewhere_is_unavailable_after_the_timeout(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.db", timeout=0.1)
    await db.connect()
    await db.migrate()
    messages = Messages(db)
    await messages.start()
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        await messages.append(Draft("lobby", ANN, "hi"))
    assert await messages.history("lobby") == ([], False), "readers do not wait for the writer"
    other.execute("COMMIT")
    assert (await messages.append(Draft("lobby", ANN, "hi")))[0].seq == 1
    other.close()
    await messages.stop()
    await db.close()


async def test_readers_do_not_wait_for_the_writer(db: Database) -> None:
    async with db.transaction() as connection:
        await connection.execute(sa.text("INSERT INTO rooms (room, last_seq, active_at) VALUES ('x', 0, 0)"))
        async with asyncio.timeout(5):
            assert await Rooms(db).summaries("ann") == ([], None)


async def test_cancelled_callers_leave_no_lock_behind(open_database: OpenDatabase) -> None:
    """A client that disconnects cancels its handler anywhere, also within a transaction."""
    rooms, other = Rooms(await open_database()), Rooms(await open_database())
    for turns in range(60):
        task = asyncio.create_task(rooms.join(f"room{turns}", Member("ann", "Ann")))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(10):
        assert await rooms.join("after", Member("ann", "Ann"))
        assert await other.join("after", Member("bob", "Bob"))


async def test_restarted_postgres_is_unavailable_and_then_works(postgres_server: PostgresServer) -> None:
    db = Database(postgres_server.url, timeout=5)
    await db.connect()
    await db.migrate()
    messages = Messages(db)
    await messages.start()
    saved, _ = await messages.append(Draft("lobby", ANN, "before", nonce="n"))
    await asyncio.to_thread(postgres_server.stop)
    answers = await asyncio.gather(
        *(messages.append(Draft("lobby", ANN, "during")) for _ in range(5)),
        messages.history("lobby"),
        Rooms(db).join("lobby", Member("ann", "Ann")),
        db.ping(),
        return_exceptions=True,
    )
    assert all(isinstance(answer, Unavailable) for answer in answers), answers
    await asyncio.to_thread(postgres_server.start)
    await db.ping()
    assert await messages.append(Draft("lobby", ANN, "again", nonce="n")) == (saved, False)
    assert (await messages.append(Draft("lobby", ANN, "after")))[0].seq == 2
    await messages.stop()
    await db.close()


async def test_hanging_postgres_is_given_up_and_then_works(postgres_server: PostgresServer) -> None:
    db = Database(postgres_server.url, timeout=1)
    await db.connect()
    await db.migrate()
    messages = Messages(db)
    await messages.start()
    await messages.append(Draft("lobby", ANN, "before"))
    postgres_server.pause()
    try:
        async with asyncio.timeout(20):
            answers = await asyncio.gather(
                messages.append(Draft("lobby", ANN, "during")), messages.history("lobby"), return_exceptions=True
            )
    finally:
        postgres_server.resume()
    assert all(isinstance(answer, Unavailable) for answer in answers), answers
    saved, _ = await messages.append(Draft("lobby", ANN, "after"))
    found, _ = await messages.history("lobby")
    assert [m.seq for m in found] == list(range(1, saved.seq + 1))
    await messages.stop()
    await db.close()
