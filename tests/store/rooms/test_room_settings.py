"""Room settings, member administration and slow mode; on both databases."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.errors import InvalidPayload, RateLimited
from rtserver.store.db.database import Database
from rtserver.store.db.ids import Ids
from rtserver.store.messages.append import append
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.room_settings import RoomSettings, RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import audit
from rtserver.store.schema import messages as messages_table
from tests.store.conftest import OpenDatabase, OpenMessages

ANN = Author("ann", "Ann")


async def audited(db: Database) -> list[tuple[object, ...]]:
    query = sa.select(audit.c.actor, audit.c.action, audit.c.room, audit.c.target, audit.c.details)
    async with db.reading() as connection:
        return [tuple(row) for row in await connection.execute(query.order_by(audit.c.id))]


async def test_configuring_creates_a_room_and_keeps_other_settings(db: Database) -> None:
    store = RoomSettingsStore(db)
    assert await store.find("lobby") is None
    made, changed = await store.change("lobby", {"meta": {"title": "Lobby"}, "slow_seconds": 5}, "shop")
    assert made == RoomSettings("lobby", meta={"title": "Lobby"}, slow_seconds=5)
    assert changed == ["meta", "slow_seconds"]
    after, changed = await store.change("lobby", {"slow_seconds": None, "meta": {"title": "Lobby"}}, "mod")
    assert (after.slow_seconds, changed) == (None, ["slow_seconds"])
    assert await store.change("lobby", {"slow_seconds": None}, "mod") == (after, [])
    assert await store.find("lobby") == after
    assert await audited(db) == [
        ("shop", "room.configure", "lobby", None, {"meta": {"title": "Lobby"}, "slow_seconds": 5}),
        ("mod", "room.configure", "lobby", None, {"slow_seconds": None}),
    ]


async def test_concurrent_changes_of_two_servers_are_both_kept(db: Database, open_database: OpenDatabase) -> None:
    mine, other = RoomSettingsStore(db), RoomSettingsStore(await open_database())
    changes: list[dict[str, Any]] = [{"slow_seconds": 7}, {"keep_count": 9}, {"read_only": True}, {"meta": {"a": 1}}]
    await asyncio.gather(*(store.change("lobby", c, "x") for store, c in zip([mine, other] * 2, changes, strict=True)))
    found = await mine.find("lobby")
    assert found == RoomSettings("lobby", meta={"a": 1}, read_only=True, slow_seconds=7, keep_count=9)


async def test_members_are_added_and_removed_once(db: Database, rooms: Rooms) -> None:
    memberships = MemberAdmin(db)
    await rooms.join("lobby", Member("bob", "Bob"))
    people = [Member(user, user) for user in ("cat", "ann", "bob", "ann")]
    assert await memberships.add("lobby", people, "shop") == ["ann", "cat"]
    assert await memberships.add("lobby", people, "shop") == []
    assert [member.name for member in await rooms.members("lobby")] == ["ann", "Bob", "cat"]
    assert await memberships.remove("lobby", ["cat", "dan", "bob", "cat"], "shop") == ["bob", "cat"]
    assert await memberships.remove("nowhere", ["cat"], "shop") == []
    assert [row[1:4] for row in await audited(db)] == [
        ("member.add", "lobby", "ann"), ("member.add", "lobby", "cat"),
        ("member.remove", "lobby", "bob"), ("member.remove", "lobby", "cat"),
    ]  # fmt: skip


async def test_many_members_fit_into_one_query(db: Database, rooms: Rooms) -> None:
    memberships = MemberAdmin(db)
    people = [Member(f"u{number:05}", "x") for number in range(1000)]
    assert len(await memberships.add("lobby", people, "shop")) == 1000
    assert len(await memberships.remove("lobby", [member.id for member in people], "shop")) == 1000
    assert await rooms.count_members("lobby") == 0


async def test_two_servers_can_add_the_same_users_at_once(db: Database, open_database: OpenDatabase) -> None:
    people = [Member(f"u{number}", "x") for number in range(50)]
    stores = [MemberAdmin(db), MemberAdmin(await open_database())]
    both = await asyncio.gather(stores[0].add("lobby", people, "a"), stores[1].add("lobby", people[::-1], "b"))
    assert sorted(both[0] + both[1]) == sorted(member.id for member in people)


async def test_names_are_updated_for_members_only(db: Database, rooms: Rooms) -> None:
    memberships = MemberAdmin(db)
    await memberships.add("lobby", [Member("ann", "ann")], "shop")
    assert await memberships.rename("lobby", Member("ann", "Ann"))
    assert await memberships.rename("lobby", Member("ann", "Ann"))
    assert not await memberships.rename("lobby", Member("bob", "Bob"))
    assert [member.name for member in await rooms.members("lobby")] == ["Ann"]


@pytest.mark.parametrize("name", ["x" * 10_000, "a\0b", "\ud800"])
async def test_names_that_no_database_can_store_are_rejected(db: Database, name: str) -> None:
    with pytest.raises(InvalidPayload):
        await RoomSettingsStore(db).change(name, {"read_only": True}, "x")
    with pytest.raises(InvalidPayload):
        await MemberAdmin(db).add(name, [Member("ann", "Ann")], "x")
    with pytest.raises(InvalidPayload):
        await MemberAdmin(db).add("lobby", [Member(name, "Ann")], "x")
    with pytest.raises(InvalidPayload):
        await MemberAdmin(db).remove("lobby", [name], "x")


# Slow mode


def slow(text: str, nonce: str | None = None, room: str = "lobby", author: Author = ANN) -> Draft:
    return Draft(room, author, text, nonce=nonce, slow_seconds=60)


async def test_slow_mode_delays_the_second_message_but_not_a_replay(messages: Messages) -> None:
    first, _ = await messages.append(slow("one", "n1"))
    with pytest.raises(RateLimited) as refusal:
        await messages.append(slow("two", "n2"))
    assert 0 < refusal.value.retry_after <= 60
    assert await messages.append(slow("one", "n1")) == (first, False)
    assert (await messages.append(slow("hi", room="other")))[1]
    assert (await messages.append(slow("hi", author=Author("bob", "Bob"))))[0].seq == 2
    assert (await messages.append(Draft("lobby", ANN, "as a moderator")))[0].seq == 3


async def test_slow_mode_holds_for_two_devices_on_two_servers(
    messages: Messages, open_messages: OpenMessages, open_database: OpenDatabase
) -> None:
    other = await open_messages(await open_database())
    sent = [store.append(slow(f"{number}")) for number in range(10) for store in (messages, other)]
    outcomes = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 1
    assert all(isinstance(outcome, tuple | RateLimited) for outcome in outcomes)
    assert len((await messages.history("lobby"))[0]) == 1


async def test_a_too_fast_author_does_not_fail_the_others_in_the_batch(messages: Messages, db: Database) -> None:
    """An error for the whole batch would make the group writer halve it again and again."""
    bob = Draft("lobby", Author("bob", "Bob"), "hi")
    together = [slow("once", "n1"), bob, slow("twice"), slow("once", "n1"), bob, slow("thrice", "n2")]
    async with db.transaction() as connection:
        done = await append(connection, together, Ids(), now_ms())
    saved = [one for one in done if not isinstance(one, RateLimited)]
    assert [(message.text, message.seq, new) for message, new in saved] == [
        ("once", 1, True), ("hi", 2, True), ("once", 1, False), ("hi", 3, True)
    ]  # fmt: skip
    assert [isinstance(one, RateLimited) for one in done] == [False, False, True, False, False, True]


async def test_a_clock_set_back_does_not_block_authors(messages: Messages, db: Database) -> None:
    await messages.append(slow("from the future"))
    async with db.transaction() as connection:
        await connection.execute(sa.update(messages_table).values(sent_at=messages_table.c.sent_at + 3_600_000))
    assert (await messages.append(slow("now")))[1]
