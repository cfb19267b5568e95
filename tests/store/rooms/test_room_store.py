"""Memberships and the list of rooms; on both databases."""

import asyncio
from collections import Counter
from typing import Any

import pytest
import sqlalchemy as sa

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.clock import now_ms
from rtserver.errors import InvalidPayload, RateLimited
from rtserver.store.db.database import Database
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_store import LISTS_AT_ONCE, LISTS_WAITING, Rooms

ANN, BOB = Member("ann", "Ann"), Member("bob", "Bob")


def next_millisecond() -> None:
    """Wait until the clock that orders rooms and members has moved."""
    now = now_ms()
    while now_ms() <= now:
        pass


async def test_joining_is_new_only_once(rooms: Rooms) -> None:
    assert await rooms.join("lobby", ANN) is True
    assert await rooms.join("lobby", ANN) is False
    assert await rooms.is_member("lobby", "ann")
    assert await rooms.members("lobby") == [ANN]


async def test_joining_from_many_devices_at_once_is_new_only_once(rooms: Rooms) -> None:
    assert sum(await asyncio.gather(*(rooms.join("lobby", ANN) for _ in range(10)))) == 1


async def test_joining_again_needs_no_commit(db: Database, rooms: Rooms) -> None:
    """After a deploy all clients join again, which must not wait for the disk."""
    await rooms.join("lobby", ANN)
    before = db.commits
    await rooms.join("lobby", ANN)
    assert db.commits == before


async def test_a_new_name_shows_after_the_next_join(rooms: Rooms) -> None:
    await rooms.join("lobby", ANN)
    assert await rooms.join("lobby", Member("ann", "Anna")) is False
    assert await rooms.members("lobby") == [Member("ann", "Anna")]


async def test_leaving_ends_the_membership(rooms: Rooms) -> None:
    await rooms.join("lobby", ANN)
    assert await rooms.leave("lobby", "ann") is True
    assert await rooms.leave("lobby", "ann") is False
    assert not await rooms.is_member("lobby", "ann")
    assert await rooms.rooms_of("ann") == []


async def test_members_come_in_pages_by_id(rooms: Rooms) -> None:
    await rooms.join("lobby", BOB)
    await rooms.join("lobby", ANN)
    await rooms.join("elsewhere", Member("aaron", "Aaron"))
    assert await rooms.members("lobby") == [ANN, BOB]
    assert await rooms.members("lobby", limit=1) == [ANN]
    assert await rooms.members("lobby", limit=1, after="ann") == [BOB]
    assert await rooms.members("lobby", after="bob") == []
    assert await rooms.count_members("lobby") == 2
    assert await rooms.count_members("nowhere") == 0


async def test_a_user_sees_only_own_rooms(rooms: Rooms) -> None:
    await rooms.join("b", ANN)
    await rooms.join("a", ANN)
    await rooms.join("c", BOB)
    assert await rooms.rooms_of("ann") == ["a", "b"]


async def test_the_room_with_the_latest_message_comes_first(rooms: Rooms, messages: Messages) -> None:
    for room in ("old", "new", "empty"):
        await rooms.join(room, ANN)
    await messages.append(Draft("old", Author("bob", "Bob"), "1"))
    next_millisecond()
    last, _ = await messages.append(Draft("new", Author("bob", "Bob"), "2"))
    summaries = {s.room: s.last_message for s in (await rooms.summaries("ann"))[0]}
    assert [room for room in summaries if room != "empty"] == ["new", "old"]
    assert (summaries["new"], summaries["empty"]) == (last, None)


async def test_unread_counts_what_others_wrote_after_the_receipt(
    rooms: Rooms, messages: Messages, receipts: ReadCursors
) -> None:
    await rooms.join("lobby", ANN)
    for i in range(5):
        await messages.append(Draft("lobby", Author("bob", "Bob"), str(i)))
    assert (await rooms.summaries("ann"))[0][0].unread == 5
    await receipts.mark_read("lobby", "ann", 3)
    summary = (await rooms.summaries("ann"))[0][0]
    assert (summary.unread, summary.last_read) == (2, 3)


async def test_an_own_message_is_not_unread(rooms: Rooms, messages: Messages) -> None:
    await rooms.join("lobby", ANN)
    await messages.append(Draft("lobby", Author("ann", "Ann"), "mine"))
    summary = (await rooms.summaries("ann"))[0][0]
    assert (summary.unread, summary.last_read) == (0, 0)
    await messages.append(Draft("lobby", Author("bob", "Bob"), "yours"))
    assert (await rooms.summaries("ann"))[0][0].unread == 1


async def test_the_list_of_rooms_is_bounded_to_the_last_active_ones(
    rooms: Rooms, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtserver.store.rooms.unread.MAX_SUMMARIES", 3)
    for name in "edcba":
        await rooms.join(name, ANN)
        next_millisecond()
    last, _ = await messages.append(Draft("d", Author("bob", "Bob"), "newest"))
    summaries, cursor = await rooms.summaries("ann")
    assert [summary.room for summary in summaries] == ["d", "a", "b"]
    assert summaries[0].last_message == last
    following, end = await rooms.summaries("ann", cursor)
    assert ([summary.room for summary in following], end) == (["c", "e"], None)
    assert [state.room for state in await rooms.unread("ann")] == ["d", "a", "b"]


async def test_the_list_of_rooms_ends_at_the_bytes_of_an_answer(rooms: Rooms, messages: Messages) -> None:
    names = [f"room {number:02}" for number in range(30)]
    for name in names:
        await rooms.join(name, ANN)
        await messages.append(Draft(name, Author("bob", "Bob"), "x" * 40_000))
    cursor, seen, calls = None, [], 0
    while calls == 0 or cursor is not None:
        page, cursor = await rooms.summaries("ann", cursor)
        assert 0 < size_of(page) <= ANSWER_BYTES
        assert all(summary.last_message is not None and summary.unread == 1 for summary in page)
        seen += [summary.room for summary in page]
        calls += 1
    assert sorted(seen) == names
    assert calls == 3
    assert len(await rooms.unread("ann")) == 30


async def test_rooms_of_the_same_moment_are_listed_once_each(
    rooms: Rooms, messages: Messages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtserver.store.rooms.unread.MAX_SUMMARIES", 2)
    monkeypatch.setattr("rtserver.store.rooms.room_store.now_ms", lambda: 1_700_000_000_000)
    for name in "abcde":
        await rooms.join(name, ANN)
    cursor, seen = None, []
    for _ in range(3):
        page, cursor = await rooms.summaries("ann", cursor)
        seen += [summary.room for summary in page]
    assert (seen, cursor) == (list("abcde"), None)


@pytest.mark.parametrize("cursor", ["", "x", ":", "-1:a", "9" * 30 + ":a", "²:a", "1.5:a"])
async def test_a_cursor_of_another_list_is_rejected(rooms: Rooms, cursor: str) -> None:
    with pytest.raises(InvalidPayload):
        await rooms.summaries("ann", cursor)


async def test_neighbours_are_the_members_of_all_rooms_of_a_user(rooms: Rooms) -> None:
    for room, member in (("a", ANN), ("a", BOB), ("b", ANN), ("b", BOB), ("b", Member("eve", "Eve")), ("c", BOB)):
        await rooms.join(room, member)
    await rooms.join("c", Member("stranger", "Stranger"))
    assert await rooms.neighbours("ann") == ["ann", "bob", "eve"]
    assert await rooms.neighbours("nobody") == []


async def test_neighbours_of_a_user_in_many_rooms_are_one_bounded_query(
    rooms: Rooms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtserver.store.rooms.room_store.MAX_NEIGHBOURSHIPS", 4)
    for number in range(10):
        await rooms.join(f"room-{number}", ANN)
        await rooms.join(f"room-{number}", Member(f"user-{number}", "User"))
    assert len(await rooms.neighbours("ann")) <= 4


async def test_a_user_without_rooms_has_an_empty_list(rooms: Rooms) -> None:
    assert await rooms.summaries("nobody") == ([], None)
    assert await rooms.unread("nobody") == []


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x" * 5_000])
async def test_invalid_names_are_rejected_and_are_no_database_failure(rooms: Rooms, bad: str) -> None:
    for call in (
        rooms.join(bad, ANN),
        rooms.join("lobby", Member(bad, "Ann")),
        rooms.leave(bad, "ann"),
        rooms.members(bad),
        rooms.is_member("lobby", bad),
        rooms.rooms_of(bad),
        rooms.summaries(bad),
        rooms.neighbours(bad),
    ):
        with pytest.raises(InvalidPayload):
            await call


async def test_an_invalid_display_name_is_rejected(rooms: Rooms) -> None:
    with pytest.raises(InvalidPayload):
        await rooms.join("lobby", Member("ann", "A\0nn"))
    assert await rooms.members("lobby") == []


async def test_long_lists_of_one_user_are_read_one_at_a_time_and_leave_connections_to_others(
    db: Database, rooms: Rooms
) -> None:
    for number in range(20):
        await rooms.join(f"room-{number}", ANN)
    running: Counter[bool] = Counter()
    most: Counter[bool] = Counter()

    def began(*args: Any) -> None:
        running["LIMIT" in args[2]] += 1
        most.update({key: count - most[key] for key, count in running.items() if count > most[key]})

    def ended(*args: Any) -> None:
        running["LIMIT" in args[2]] -= 1

    engine = db._engines.reader.sync_engine
    sa.event.listen(engine, "before_cursor_execute", began)
    sa.event.listen(engine, "after_cursor_execute", ended)
    reads = [rooms.summaries("ann") for _ in range(10)]
    assert {len(found) for found, _ in await asyncio.gather(*reads)} == {20}
    assert most == {True: 1}
    everybody = [rooms.neighbours(f"user{number}") for number in range(20)]
    await asyncio.gather(*everybody, *(rooms.is_member("room-1", "ann") for _ in range(20)))
    assert 1 <= most[True] <= LISTS_AT_ONCE
    sa.event.remove(engine, "before_cursor_execute", began)
    sa.event.remove(engine, "after_cursor_execute", ended)
    too_many = [rooms.summaries("ann") for _ in range(LISTS_WAITING + 5)]
    answers = await asyncio.gather(*too_many, return_exceptions=True)
    assert [type(answer) for answer in answers].count(RateLimited) == 4
