"""Copies of messages go with them: no table has the text of a message that was removed for good; on both databases."""

import json

import pytest
import sqlalchemy as sa

from rtserver.store.db.database import Database
from rtserver.store.erasure.erase_user import EraseUser
from rtserver.store.messages.changes import Delete, Edit, React
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.records import Author, Draft, Member, Message, NotificationDraft
from rtserver.store.messages.retention import MENTIONS, Retention
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.rooms.room_settings import RoomSettingsStore
from rtserver.store.rooms.room_store import Rooms
from rtserver.store.schema import audit, metadata, webhooks
from rtserver.store.schema import messages as messages_table

ANN, BOB, MOD = Author("ann", "Ann"), Author("bob", "Bob"), Author("mod", "Mod")
SECRET = "hunter2"


async def everything(db: Database) -> str:
    """All data in the database, with the tables of the full-text index on SQLite."""
    async with db.reading() as connection:
        held = []
        for table in metadata.sorted_tables:
            held += [list(map(str, row)) for row in await connection.execute(sa.select(table))]
        if connection.dialect.name == "sqlite":
            found = sa.text("SELECT count(*) FROM search_words WHERE search_words MATCH :word")
            held.append([SECRET] * (await connection.execute(found, {"word": SECRET})).scalar_one())
    return json.dumps(held)


async def notify(notifications: Notifications, message: Message, user: str) -> None:
    quoting = NotificationDraft(user=user, type="mention", message=f"Ann: {message.text}", key=f"mention:{message.id}")
    await notifications.add([quoting])


async def written(messages: Messages, notifications: Notifications, room: str) -> list[Message]:
    """Messages with every kind of copy: edited, deleted by a moderator, with mentions now and formerly."""
    edited, _ = await messages.append(Draft(room, ANN, f"{SECRET} @bob", mentions=["bob"], data={"a": SECRET}))
    await notify(notifications, edited, "bob")
    await messages.change(Edit(room, edited.id, "ann", False, f"{SECRET} again @mod", mentions=["mod"]))
    await notify(notifications, edited, "mod")
    await messages.change(React(room, edited.id, "bob", "👍", True))
    deleted, _ = await messages.append(Draft(room, ANN, f"deleted {SECRET}"))
    await messages.change(Delete(room, deleted.id, "mod", True))
    plain, _ = await messages.append(Draft(room, ANN, f"plain {SECRET}", nonce="n"))
    return [edited, deleted, plain]


async def test_retention_removes_every_copy(db: Database, messages: Messages, rooms: Rooms) -> None:
    notifications = Notifications(db, webhook_delay=60)
    told: list[tuple[str, str]] = []
    await rooms.join("lobby", Member("bob", "Bob"))
    await written(messages, notifications, "lobby")
    await written(messages, notifications, "elsewhere")
    [last, _] = await messages.append(Draft("lobby", BOB, "stays"))
    before = {note.id for user in ("bob", "mod") for note in (await notifications.list(user))[0]}
    assert len(before) == 4
    await RoomSettingsStore(db).change("lobby", {"keep_count": 1}, "mod")

    async def announce(removed: object) -> None:
        told.extend(removed)  # type: ignore[arg-type]

    assert await Retention(db, announce).sweep() == 3
    assert sorted(user for user, _ in told) == ["bob", "mod"]
    after = {note.id for user in ("bob", "mod") for note in (await notifications.list(user))[0]}
    assert before - after == {id_ for _, id_ in told}
    assert (await everything(db)).count(SECRET) > 0, "the other room keeps its messages"
    await RoomSettingsStore(db).change("elsewhere", {"keep_seconds": 1}, "mod")
    async with db.transaction() as connection:
        await connection.execute(sa.update(messages_table).values(sent_at=1))
    while await Retention(db).sweep():
        pass
    left = await everything(db)
    assert SECRET not in left
    async with db.reading() as connection:
        actions = sa.select(sa.func.count()).where(audit.c.action.in_(["message.edit", "message.delete"]))
        assert (await connection.execute(actions)).scalar_one() == 4, "what was done stays, without the texts"
    assert last.seq == 4


async def test_a_notification_saved_after_its_message_was_removed_is_withdrawn(
    db: Database, messages: Messages, notifications: Notifications
) -> None:
    first, _ = await messages.append(Draft("lobby", ANN, f"{SECRET} @bob", mentions=["bob"]))
    await messages.append(Draft("lobby", ANN, "second"))
    await RoomSettingsStore(db).change("lobby", {"keep_count": 1}, "mod")
    assert await Retention(db).sweep() == 1
    await notify(notifications, first, "bob")
    assert [user for user, _ in await messages.withdraw_mentions(first, ["bob"])] == ["bob"]
    assert SECRET not in await everything(db)


async def test_erasure_of_a_user_removes_every_copy_in_abandoned_conversations_too(
    db: Database, messages: Messages, rooms: Rooms, notifications: Notifications
) -> None:
    for room in ("lobby", "dm:ann:bob", "dm:ann:zoe"):
        await rooms.join(room, Member("ann", "Ann"))
    await rooms.join("dm:ann:bob", Member("bob", "Bob"))
    for room in ("lobby", "dm:ann:bob", "dm:ann:zoe"):
        await written(messages, notifications, room)
    store, removed = EraseUser(db), []
    while (step := await store.step("ann")) is not None:
        removed += step.notifications
    assert SECRET not in await everything(db)
    assert sorted(user for user, _ in removed) == ["bob"] * 3 + ["mod"] * 3


async def test_a_failed_webhook_goes_with_its_notification(db: Database, messages: Messages) -> None:
    notifications = Notifications(db, webhook_delay=60)
    await notifications.add([NotificationDraft(user="bob", type="t", message=SECRET) for _ in range(2)])
    async with db.transaction() as connection:
        failed = sa.update(webhooks).values(failed_at=1)
        await connection.execute(failed)
    await notifications.delete("bob", [note.id for note in (await notifications.list("bob"))[0]])
    assert SECRET not in await everything(db)


@pytest.mark.parametrize("mentions", [50])
async def test_messages_with_many_mentions_are_removed_in_smaller_batches(
    db: Database, messages: Messages, mentions: int
) -> None:
    users = [f"u{number}" for number in range(mentions)]
    count = 2 * MENTIONS // mentions + 3
    for _ in range(count):
        await messages.append(Draft("lobby", ANN, "x", mentions=users))
    await RoomSettingsStore(db).change("lobby", {"keep_count": 1}, "mod")
    sizes = []
    retention = Retention(db)
    while removed := await retention.sweep():
        sizes.append(removed)
    assert sum(sizes) == count - 1
    assert max(sizes) * mentions <= MENTIONS
