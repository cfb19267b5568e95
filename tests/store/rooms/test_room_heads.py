"""Room heads: the last numbers of many rooms, and the direct rooms that were active; on both databases."""

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.messages.changes import React
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms.room_heads import RoomHeads
from rtserver.store.rooms.room_store import Rooms

ANN = Author("ann", "Ann")


async def test_heads_have_the_last_numbers_of_the_rooms_that_exist(db: Database, messages: Messages) -> None:
    for text in ("one", "two"):
        message, _ = await messages.append(Draft("hall", ANN, text))
    await messages.append(Draft("other", ANN, "one"))
    await messages.change(React("hall", message.id, "bob", "x", True))
    heads = await RoomHeads(db).of(["hall", "other", "nowhere", "it's"])
    assert {room: (head.last_seq, head.last_rev) for room, head in heads.items()} == {"hall": (2, 1), "other": (1, 0)}
    assert await RoomHeads(db).of([]) == {}


async def test_active_direct_rooms_are_found_by_their_users(db: Database, messages: Messages) -> None:
    began, rooms, heads = now_ms(), Rooms(db), RoomHeads(db)
    for room, users in {"dm:ann:bob": ("ann", "bob"), "dm:bob:cy": ("bob", "cy"), "dmx": ("ann",)}.items():
        for user in users:
            await rooms.join(room, Member(user, user))
        await messages.append(Draft(room, ANN, "hello"))
    assert (await heads.active_direct(["ann", "bob"], began)).keys() == {"dm:ann:bob", "dm:bob:cy"}
    assert (await heads.active_direct(["cy"], began)).keys() == {"dm:bob:cy"}
    assert await heads.active_direct(["ann", "bob"], now_ms() + 60_000) == {}
    assert await heads.active_direct(["nobody"], began) == {}
