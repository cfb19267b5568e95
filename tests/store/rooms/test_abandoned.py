"""Rooms that everybody has left: removed where they hold nothing, and only there; on both databases."""

import asyncio

import pytest
import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_user import EraseUser
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms import abandoned
from rtserver.store.rooms.abandoned import AbandonedRooms
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import members
from rtserver.store.schema import rooms as rooms_table
from tests.store.conftest import OpenDatabase

ANN, BOB = Member("ann", "Ann"), Member("bob", "Bob")


async def names(db: Database) -> list[str]:
    async with db.reading() as connection:
        return sorted((await connection.execute(sa.select(rooms_table.c.room))).scalars())


async def test_the_last_member_takes_an_empty_room_along(db: Database, rooms: Rooms) -> None:
    for member in (ANN, BOB):
        await rooms.join("lobby", member)
    await rooms.leave("lobby", "ann")
    assert await names(db) == ["lobby"]
    await rooms.leave("lobby", "bob")
    assert await names(db) == []
    assert await rooms.join("lobby", ANN), "it is made anew"
    assert await names(db) == ["lobby"]


@pytest.mark.parametrize(
    "changes",
    [
        {"policy": "open"}, {"meta": {"title": "A"}}, {"read_only": True}, {"slow_seconds": 5}, {"keep_seconds": 5},
        {"keep_count": 5}, {},
    ],
)  # fmt: skip
async def test_a_room_that_an_admin_or_a_backend_has_made_stays(
    db: Database, rooms: Rooms, changes: dict[str, object]
) -> None:
    settings = RoomSettingsStore(db)
    await settings.change("lobby", changes, "shop")
    await rooms.join("lobby", ANN)
    await rooms.leave("lobby", "ann")
    if "read_only" not in changes:
        await settings.change("lobby", dict.fromkeys(changes), "shop")
    await AbandonedRooms(db).sweep()
    assert await names(db) == ["lobby"]


async def test_a_room_with_messages_or_with_members_added_by_a_backend_stays(
    db: Database, rooms: Rooms, messages: Messages
) -> None:
    for room in ("spoken", "private"):
        await rooms.join(room, ANN)
    await messages.append(Draft("spoken", Author("ann", "Ann"), "hi"))
    await MemberAdmin(db).add("private", [BOB], "shop")
    await MemberAdmin(db).remove("private", ["bob"], "shop")
    for room in ("spoken", "private"):
        await rooms.leave(room, "ann")
    await AbandonedRooms(db).sweep()
    assert await names(db) == ["private", "spoken"]


async def test_the_sweep_finds_rooms_that_are_left_over_page_by_page(
    db: Database, rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abandoned, "PAGE", 3)
    for number in range(10):
        await rooms.join(f"room-{number}", ANN)
    async with db.transaction() as connection:
        await connection.execute(sa.delete(members).where(members.c.room != "room-4"))
    sweeper = AbandonedRooms(db)
    for _ in range(4):
        assert await sweeper.sweep() == 0
    assert await names(db) == ["room-4"]
    for _ in range(2):
        await sweeper.sweep()
    assert await names(db) == ["room-4"]


async def test_an_erased_user_leaves_no_empty_room(db: Database, rooms: Rooms) -> None:
    await rooms.join("mine", ANN)
    await rooms.join("ours", ANN)
    await rooms.join("ours", BOB)
    erasing = EraseUser(db)
    while await erasing.step("ann") is not None:
        pass
    assert await names(db) == ["ours"]


async def test_joins_and_leaves_at_once_lose_no_member(
    db: Database, rooms: Rooms, open_database: OpenDatabase, messages: Messages
) -> None:
    """Members of servers that join and leave the same empty room; whoever joined last is in it."""
    servers = [rooms, Rooms(await open_database())]

    async def visit(number: int) -> None:
        member = Member(f"u{number}", "U")
        for _ in range(10):
            assert await servers[number % 2].join("lobby", member)
            assert await servers[(number + 1) % 2].is_member("lobby", member.id)
            assert await servers[number % 2].leave("lobby", member.id)
        assert await servers[number % 2].join("lobby", member)

    async def manage() -> None:
        for number in range(10):
            await MemberAdmin(db).add("lobby", [Member(f"m{number}", "M")], "shop")

    await asyncio.gather(*(visit(number) for number in range(8)))
    assert len(await rooms.members("lobby")) == 8
    for number in range(8):
        await rooms.leave("lobby", f"u{number}")
    await asyncio.gather(*(visit(number) for number in range(4)), manage())
    assert len(await rooms.members("lobby")) == 14
    message, _ = await messages.append(Draft("lobby", Author("m1", "M"), "hi"))
    assert message.seq == 1
