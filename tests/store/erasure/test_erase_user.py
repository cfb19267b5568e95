"""Erasure of a user: removed and remaining data, and interruption anywhere; on both databases."""

import asyncio
import json

import pytest
import sqlalchemy as sa

from rtserver.errors import InvalidPayload
from rtserver.identity import API_KEY
from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_user import BATCH, EraseUser, Step
from rtserver.store.messages.changes import Delete, Edit, React
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member, NotificationDraft
from rtserver.store.messages.retention import BATCH_TEXT
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.rooms.member_admin import MemberAdmin
from rtserver.store.rooms.read_cursors import ReadCursors
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import audit, metadata
from tests.store.conftest import OpenDatabase

EVE, BOB = Author("eve-4711", "Eve Person"), Author("bob", "Bob")


async def forgotten(*servers: EraseUser, user: str = EVE.id) -> list[Step]:
    steps: list[Step] = []
    while taken := [step for step in await asyncio.gather(*(server.step(user) for server in servers)) if step]:
        steps += taken
    return steps


async def everything(db: Database) -> str:
    """All data in the database, except the names of direct rooms."""
    held = []
    async with db.reading() as connection:
        for table in metadata.sorted_tables:
            held += [[str(value) for value in row] for row in await connection.execute(sa.select(table))]
    return json.dumps(held).replace(f"dm:bob:{EVE.id}", "")


async def say(messages: Messages, author: Author, text: str, room: str = "lobby", **more: object) -> str:
    message, _ = await messages.append(Draft(room, author, text, **more))  # type: ignore[arg-type]
    return message.id


async def test_what_the_holder_of_an_api_key_did_stays_in_the_audit(db: Database) -> None:
    """Its name there is no user, so nobody can have its traces removed by erasing a user of that name."""
    await MemberAdmin(db).add("board", [Member("bob", "Bob"), Member(API_KEY, "A user of that id")], API_KEY)
    await forgotten(EraseUser(db), user=API_KEY)
    async with db.reading() as connection:
        left = (await connection.execute(sa.select(audit.c.actor, audit.c.target).order_by(audit.c.target))).all()
    assert [tuple(row) for row in left] == [(API_KEY, ""), (API_KEY, "bob")]


async def test_only_tombstones_without_author_are_left(
    db: Database, messages: Messages, rooms: Rooms, receipts: ReadCursors, notifications: Notifications
) -> None:
    for room in ("lobby", "dm:bob:eve-4711", "dm:eve-4711:zoe", "dm:eve-4711:eve-4711"):
        await rooms.join(room, Member(EVE.id, EVE.name))
    for room in ("lobby", "dm:bob:eve-4711"):
        await rooms.join(room, Member("bob", "Bob"))
    first = await say(messages, EVE, "My secret", nonce="n1", data={"eve": "secret"}, mentions=["bob"])
    bobs = await say(messages, BOB, "Fine")
    await say(messages, EVE, "To Bob 秘密", "dm:bob:eve-4711")
    await say(messages, EVE, "To Zoe secret", "dm:eve-4711:zoe")
    await say(messages, EVE, "To myself secret", "dm:eve-4711:eve-4711")
    await messages.change(Edit("lobby", first, EVE.id, False, "My edited secret"))
    await messages.change(React("lobby", bobs, EVE.id, "👍", True))
    await messages.change(React("lobby", bobs, "bob", "👍", True))
    await messages.change(React("lobby", first, "bob", "👎", True))
    spam = await say(messages, BOB, "spam")
    await messages.change(Delete("lobby", spam, EVE.id, True))
    await receipts.mark_read("lobby", EVE.id, 2)
    await notifications.add(
        [
            NotificationDraft(user=EVE.id, type="t", message="For Eve Person", key="k"),
            NotificationDraft(user="bob", type="mention", message="Eve Person: My secret", key=f"mention:{first}"),
        ]
    )
    await MemberAdmin(db).add("board", [Member(EVE.id, EVE.name)], EVE.id)

    store = EraseUser(db)
    steps = await forgotten(store)
    left = await everything(db)
    for trace in (EVE.id, EVE.name, "secret", "To Bob", "For Eve"):
        assert trace not in left, trace
    assert {room for step in steps for room in step.rooms} == {"lobby", "board", "dm:bob:eve-4711"}

    page, _ = await messages.history("lobby")
    assert [message.seq for message in page] == [1, 2, 3]
    assert [message.rev is not None for message in page] == [True, True, True]
    gone, kept, deleted = page
    assert (gone.from_, gone.text, gone.data, gone.mentions, gone.nonce) == (Author("", ""), "", None, None, None)
    assert gone.deleted_at is not None
    assert (kept.from_, kept.text) == (BOB, "Fine")
    assert [(r.emoji, r.users) for r in (await messages.history("lobby"))[0][1].reactions or []] == [("👍", ["bob"])]
    assert (deleted.from_, deleted.deleted_by) == (BOB, "")
    [direct], _ = await messages.history("dm:bob:eve-4711")
    assert (direct.seq, direct.from_.id, direct.text) == (1, "", "")
    assert (await messages.history("dm:eve-4711:zoe"))[0] == []
    assert await store.step(EVE.id) is None
    await store.record("shop", {"messages": 4})
    assert EVE.id not in await everything(db)
    assert "user.forget" in await everything(db)


async def test_two_servers_can_erase_many_messages_in_batches(
    db: Database, messages: Messages, open_database: OpenDatabase
) -> None:
    await asyncio.gather(*(say(messages, EVE if n % 3 else BOB, f"{n}", f"room-{n % 2}") for n in range(4 * BATCH)))
    writing = asyncio.gather(*(say(messages, BOB, "meanwhile", "room-0") for _ in range(20)))
    steps = await forgotten(EraseUser(db), EraseUser(await open_database()))
    await writing
    assert all(step.rows <= BATCH for step in steps)
    for room, count in (("room-0", 2 * BATCH + 20), ("room-1", 2 * BATCH)):
        page, _ = await messages.history(room, after=0, limit=10_000)
        assert [message.seq for message in page] == list(range(1, count + 1))
        assert {message.from_ for message in page} == {BOB, Author("", "")}
        revs = [message.rev for message in page if message.rev is not None]
        assert len(set(revs)) == len(revs)


async def test_a_batch_of_long_messages_is_small(db: Database, messages: Messages, rooms: Rooms) -> None:
    """Writers wait for its transaction, which takes the longer the more text there is."""
    half = "x" * (BATCH_TEXT // 2)
    await rooms.join("dm:eve-4711:zoe", Member(EVE.id, EVE.name))
    for room in ("lobby", "dm:eve-4711:zoe"):
        for text in (half, half, half * 3, "short", "short"):
            await say(messages, EVE, text, room)
    steps = await forgotten(EraseUser(db))
    assert [step.rows for step in steps if step.kind == "messages"] == [2, 1, 2, 2, 1, 2]


async def test_a_step_goes_on_where_the_last_one_found_rows(db: Database, messages: Messages) -> None:
    await say(messages, EVE, "x" * BATCH_TEXT)
    await say(messages, EVE, "x" * BATCH_TEXT)
    store, number, kinds = EraseUser(db), 0, []
    while step := await store.step(EVE.id, number):
        kinds.append(step.kind)
        number = step.number
    assert kinds == ["messages", "messages"]
    await say(messages, EVE, "a late one")
    late = await store.step(EVE.id, 8)
    assert late is not None
    assert (late.kind, late.number) == ("messages", number)


async def test_a_returning_user_starts_anew(db: Database, messages: Messages, rooms: Rooms) -> None:
    await rooms.join("lobby", Member(EVE.id, EVE.name))
    await say(messages, EVE, "old", nonce="n1")
    await forgotten(EraseUser(db))
    await rooms.join("lobby", Member(EVE.id, EVE.name))
    message, new = await messages.append(Draft("lobby", EVE, "new", nonce="n1"))
    assert (message.seq, new) == (2, True)
    await forgotten(EraseUser(db))
    assert [one.text for one in (await messages.history("lobby"))[0]] == ["", ""]


@pytest.mark.parametrize("user", ["x" * 1000, "a\0b", "\ud800"])
async def test_the_id_of_erased_users_is_rejected(db: Database, user: str) -> None:
    with pytest.raises(InvalidPayload):
        await EraseUser(db).step(user)


async def test_an_unknown_user_is_erased_at_once(db: Database, messages: Messages) -> None:
    await say(messages, EVE, "x")
    await forgotten(EraseUser(db))
    assert await EraseUser(db).step("nobody") is None
    assert await EraseUser(db).step("") is None
