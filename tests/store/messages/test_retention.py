"""Retention by age and by count, oldest messages first; on both databases."""

import asyncio

import pytest
import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.messages.changes import React
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.messages.retention import BATCH, BATCH_TEXT, Retention
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import messages as messages_table
from rtserver.store.schema import reactions
from tests.store.conftest import OpenDatabase

ANN = Author("ann", "Ann")


async def said(messages: Messages, count: int, room: str = "lobby") -> None:
    await asyncio.gather(*(messages.append(Draft(room, ANN, f"{number}")) for number in range(count)))


async def seqs(messages: Messages, room: str = "lobby") -> list[int]:
    return [message.seq for message in (await messages.history(room, after=0, limit=10_000))[0]]


async def swept(*servers: Retention) -> int:
    total = 0
    while removed := sum(await asyncio.gather(*(server.sweep() for server in servers))):
        total += removed
    return total


async def test_a_room_keeps_its_count_of_messages_and_continues_numbering(db: Database, messages: Messages) -> None:
    await said(messages, 2 * BATCH + 50)
    await said(messages, 20, "other")
    [first] = (await messages.history("lobby", after=0, limit=1))[0]
    await messages.change(React("lobby", first.id, "bob", "👍", True))
    settings = RoomSettingsStore(db)
    await settings.change("lobby", {"keep_count": 30}, "x")
    assert await swept(Retention(db)) == 2 * BATCH + 20
    assert await seqs(messages) == list(range(2 * BATCH + 21, 2 * BATCH + 51))
    assert await seqs(messages, "other") == list(range(1, 21))
    found = await settings.find("lobby")
    assert found is not None
    assert (found.first_seq, found.last_seq) == (2 * BATCH + 21, 2 * BATCH + 50)
    async with db.reading() as connection:
        assert (await connection.execute(sa.select(reactions))).all() == []
    assert (await messages.append(Draft("lobby", ANN, "next")))[0].seq == 2 * BATCH + 51
    assert await swept(Retention(db)) == 1


async def test_old_messages_are_removed_up_to_the_first_younger_one(db: Database, messages: Messages) -> None:
    await said(messages, 4)
    await RoomSettingsStore(db).change("lobby", {"keep_seconds": 60}, "x")
    assert await swept(Retention(db)) == 0
    async with db.transaction() as connection:
        old = messages_table.c.seq.in_([1, 2, 4])
        older = sa.update(messages_table).where(old).values(sent_at=messages_table.c.sent_at - 61_000)
        await connection.execute(older)
    assert await swept(Retention(db)) == 2
    assert await seqs(messages) == [3, 4]


async def test_a_clock_change_of_an_hour_removes_an_hour_at_most(db: Database, messages: Messages) -> None:
    hour, now = 3_600_000, now_ms()
    await said(messages, 4)
    await RoomSettingsStore(db).change("lobby", {"keep_seconds": 7200}, "x")
    # The last but one was sent while the clock was ahead, the last one while it was behind.
    for seq, sent_at in enumerate((now - hour - 60_000, now - hour + 60_000, now + hour, now - hour - 60_000), 1):
        async with db.transaction() as connection:
            this = sa.update(messages_table).where(messages_table.c.seq == seq)
            await connection.execute(this.values(sent_at=sent_at))
    retention = Retention(db, clock=lambda: now)
    now -= hour
    assert await swept(retention) == 0
    now += 2 * hour
    assert await swept(retention) == 1
    now -= hour
    assert await swept(retention) == 0
    assert await seqs(messages) == [2, 3, 4]
    now += 3 * hour + 1
    assert await swept(retention) == 3


async def test_removed_messages_are_not_unread(
    db: Database, messages: Messages, rooms: Rooms, receipts: ReadCursors
) -> None:
    await rooms.join("lobby", Member("bob", "Bob"))
    await said(messages, 10)
    await RoomSettingsStore(db).change("lobby", {"keep_count": 3}, "x")
    await swept(Retention(db))
    [summary], _ = await rooms.summaries("bob")
    assert summary.unread == 3
    assert await receipts.mark_read("lobby", "bob", 2) == (2, True)
    [summary], _ = await rooms.summaries("bob")
    assert summary.unread == 3


@pytest.mark.parametrize("rooms_count", [1, 450])
async def test_two_servers_together_remove_exactly_the_expired_messages(
    db: Database, messages: Messages, open_database: OpenDatabase, rooms_count: int
) -> None:
    settings = RoomSettingsStore(db)
    names = [f"room-{number:03}" for number in range(rooms_count)]
    for name in names[-2:]:
        await said(messages, BATCH + 10, name)
    for name in names:
        await settings.change(name, {"keep_count": 5}, "x")
    writing = asyncio.gather(*(messages.append(Draft(names[-1], ANN, "x")) for _ in range(50)))
    servers = [Retention(db), Retention(await open_database())]
    removed = await swept(*servers)
    await writing
    removed += await swept(*servers)
    written = (BATCH + 10) * len(names[-2:]) + 50
    left = [await seqs(messages, name) for name in names[-2:]]
    assert removed == written - sum(map(len, left))
    for kept in left:
        assert len(kept) == 5
        assert kept == list(range(kept[0], kept[0] + 5))


async def test_a_batch_of_long_messages_is_small(db: Database, messages: Messages) -> None:
    """Writers wait for its transaction, which takes the longer the more text there is."""
    half = "x" * (BATCH_TEXT // 2)
    for text in (half, half, half, half * 3, half):
        await messages.append(Draft("lobby", ANN, text))
    await said(messages, 5)
    await RoomSettingsStore(db).change("lobby", {"keep_count": 1}, "x")
    retention = Retention(db)
    assert [await retention.sweep() for _ in range(5)] == [2, 1, 1, 5, 0]
    assert await seqs(messages) == [10]
