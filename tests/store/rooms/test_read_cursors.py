"""Read cursors; on both databases."""

import asyncio

import pytest
import sqlalchemy as sa

from rtserver.errors import InvalidPayload
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft
from rtserver.store.rooms.read_cursors import ReadCursors
from tests.store.conftest import OpenDatabase


@pytest.fixture
async def ten(messages: Messages) -> None:
    await asyncio.gather(*(messages.append(Draft("lobby", Author("bob", "Bob"), str(i))) for i in range(10)))


@pytest.mark.usefixtures("ten")
async def test_the_cursor_moves_forwards_only(receipts: ReadCursors) -> None:
    assert await receipts.last_read("lobby", "ann") == 0
    assert await receipts.mark_read("lobby", "ann", 4) == (4, True)
    assert await receipts.mark_read("lobby", "ann", 2) == (4, False)
    assert await receipts.mark_read("lobby", "ann", 7) == (7, True)
    assert await receipts.last_read("lobby", "ann") == 7
    assert await receipts.last_read("lobby", "bob") == 0


@pytest.mark.usefixtures("ten")
async def test_the_cursor_never_passes_the_last_message(receipts: ReadCursors) -> None:
    assert await receipts.mark_read("lobby", "ann", 10**30) == (10, True)
    assert await receipts.mark_read("lobby", "ann", -(10**30)) == (10, False)
    assert await receipts.mark_read("nowhere", "ann", 5) == (0, False)


@pytest.mark.usefixtures("ten")
async def test_racing_devices_end_at_the_furthest_cursor(receipts: ReadCursors) -> None:
    await asyncio.gather(*(receipts.mark_read("lobby", "ann", seq) for seq in (3, 9, 1, 7, 5, 8)))
    assert await receipts.last_read("lobby", "ann") == 9


@pytest.mark.usefixtures("ten")
async def test_many_cursors_at_once_share_few_commits(receipts: ReadCursors, db: Database) -> None:
    marks = [("lobby", f"u{number % 40}", 1 + number % 9) for number in range(120)]
    before = db.commits
    async with db.transaction() as connection:  # what all wait for
        if connection.dialect.name == "postgresql":
            await connection.execute(sa.text("LOCK TABLE receipts IN SHARE MODE"))
        bad = asyncio.create_task(receipts.mark_read("lobby", "\ud800", 1))
        marking = [asyncio.create_task(receipts.mark_read(*mark)) for mark in marks]
        await asyncio.sleep(0)
        await receipts.last_read("lobby", "the last in the line for a connection")
    with pytest.raises(InvalidPayload):
        await bad
    told = await asyncio.gather(*marking)
    furthest = {user: max(seq for _, one, seq in marks if one == user) for _, user, _ in marks}
    assert all(seq >= mark[2] for mark, (seq, _) in zip(marks, told, strict=True))
    assert {user: await receipts.last_read("lobby", user) for user in furthest} == furthest
    assert db.commits - before <= 20


@pytest.mark.usefixtures("ten")
async def test_two_servers_move_cursors_forwards_only(open_database: OpenDatabase) -> None:
    servers = [ReadCursors(await open_database()) for _ in range(2)]
    for server in servers:
        await server.start()
    rooms = [("lobby", f"u{number}") for number in range(10)]
    await asyncio.gather(
        *(servers[at % 2].mark_read(*one, seq) for seq in (2, 9, 5) for at, one in enumerate(rooms + rooms[::-1]))
    )
    assert [await servers[0].last_read(*one) for one in rooms] == [9] * 10
    for server in servers:
        await server.stop()
