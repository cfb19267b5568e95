"""Edits, deletions and reactions: permissions, stored content, one `rev` each; on both databases."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from rtserver.clock import now_ms
from rtserver.errors import Conflict, Forbidden, InvalidPayload, NotFound
from rtserver.store.db.database import Database
from rtserver.store.messages import changes
from rtserver.store.messages.changes import MAX_EMOJI, Delete, Edit, React, lock_rooms
from rtserver.store.messages.message_store import Messages
from rtserver.store.messages.reactions import SHOWN_USERS
from rtserver.store.messages.records import Author, Draft, Message, Reaction
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.inbox_locks import lock_inboxes
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.records import NotificationDraft
from rtserver.store.schema import audit
from rtserver.store.schema import deliveries as deliveries_table
from rtserver.store.schema import notifications as notifications_table
from tests.store.conftest import OpenDatabase, OpenMessages
from tests.support.eventually import eventually

ANN, BOB = Author("ann", "Ann"), Author("bob", "Bob")


async def said(messages: Messages, text: str = "hi", room: str = "lobby", **fields: Any) -> Message:
    return (await messages.append(Draft(room, ANN, text, **fields)))[0]


def edit(message: Message, text: str, actor: str = "ann", any_author: bool = False, **fields: Any) -> Edit:
    return Edit(message.room, message.id, actor, any_author, text, **fields)


def delete(message: Message, actor: str = "ann", any_author: bool = False) -> Delete:
    return Delete(message.room, message.id, actor, any_author)


def react(message: Message, actor: str, emoji: str = "+1", on: bool = True) -> React:
    return React(message.room, message.id, actor, emoji, on)


async def read(messages: Messages, room: str = "lobby") -> list[Message]:
    return (await messages.history(room, limit=10_000))[0]


async def audited(db: Database) -> list[tuple[Any, ...]]:
    async with db.reading() as connection:
        query = sa.select(audit.c.actor, audit.c.action, audit.c.room, audit.c.target, audit.c.details)
        return [tuple(row) for row in await connection.execute(query.order_by(audit.c.id))]


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_rooms_are_locked_in_one_order_whatever_the_database_sorts_by(db: Database, messages: Messages) -> None:
    """Most Postgres databases sort by language; two servers that lock in different orders would deadlock."""
    names = ["a", "B"]
    for room in names:
        await said(messages, room=room)
    async with db.transaction() as connection:
        await connection.execute(sa.text('ALTER TABLE rooms ALTER COLUMN room TYPE text COLLATE "en-x-icu"'))
        assert list(await lock_rooms(connection, names)) == sorted(names)


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_deletion_and_a_change_of_an_inbox_do_not_deadlock(
    db: Database, messages: Messages, notifications: Notifications, deliveries: DeliveryReceipts
) -> None:
    """Otherwise each may wait for the other, until Postgres cancels one of them a second later."""
    message = await said(messages, mentions=["bob"])
    [told] = await notifications.add([NotificationDraft("bob", "mention", "hi", key=f"mention:{message.id}")])
    await deliveries.record("bob", "phone", {told.notification.id: None})

    async def waits() -> bool:
        async with db.reading() as connection:
            waiting = await connection.exec_driver_sql("SELECT 1 FROM pg_locks WHERE NOT granted")
            return waiting.first() is not None

    async with db.transaction() as connection:  # as when bob deletes it himself
        await lock_inboxes(connection, ["bob"])
        await connection.execute(sa.delete(notifications_table))
        deleting = asyncio.create_task(messages.change(delete(message)))
        await eventually(waits)
        await connection.execute(sa.delete(deliveries_table))
    assert (await deleting).changed


async def test_an_edit_changes_the_text_and_keeps_the_seq(db: Database, messages: Messages) -> None:
    first = await said(messages, "helo", data={"a": 1}, nonce="n")
    await said(messages, "next")
    now, changed, mentioned, _ = await messages.change(edit(first, "hello", mentions=["bob"]))
    assert (changed, mentioned, now.text, now.data, now.rev) == (True, ["bob"], "hello", {"a": 1}, 1)
    assert (now.id, now.seq, now.sent_at, now.nonce) == (first.id, 1, first.sent_at, "n")
    assert now.edited_at
    assert (await read(messages))[0] == now
    again, changed, mentioned, _ = await messages.change(edit(first, "hello", mentions=["bob"]))
    assert (again, changed, mentioned) == (now, False, []), "repeating it is harmless"
    cleared = (await messages.change(edit(first, "hello", data=None))).message
    assert (cleared.data, cleared.mentions, cleared.rev) == (None, None, 2)
    assert [row[-1]["text"] for row in await audited(db)] == ["helo", "hello"]


async def test_an_edit_of_somebody_who_saw_an_earlier_version_is_a_conflict(messages: Messages) -> None:
    message = await said(messages)
    first = (await messages.change(edit(message, "one", seen=0))).message
    with pytest.raises(Conflict):
        await messages.change(edit(message, "two", seen=0))
    assert (await messages.change(edit(message, "one", seen=0))).message == first, "repeating it is harmless"
    assert (await messages.change(edit(message, "two", seen=first.rev))).message.text == "two"
    assert (await messages.change(edit(message, "three"))).message.text == "three"


@pytest.mark.parametrize(("waited", "wins"), [((-3000, 3000), False), ((-9000, -3000), True), ((3000, 9000), True)])
async def test_an_edit_that_waited_while_another_was_saved_is_a_conflict(
    messages: Messages, waited: tuple[int, int], wins: bool
) -> None:
    """`waited`: relative to the other edit, in milliseconds."""
    message = await said(messages)
    now = now_ms()
    stall = (now + waited[0], now + waited[1])
    assert (await messages.change(edit(message, "fine", waited=stall))).changed, "nobody had edited it"
    other = await said(messages)
    await messages.change(edit(other, "newer"))
    if wins:
        assert (await messages.change(edit(other, "older", waited=stall))).changed
    else:
        with pytest.raises(Conflict):
            await messages.change(edit(other, "older", waited=stall))


async def test_the_text_of_a_deleted_message_is_only_in_the_audit(db: Database, messages: Messages) -> None:
    message = await said(messages, "secret", data=[1], mentions=["bob"], nonce="n")
    await messages.change(react(message, "bob"))
    gone, changed, *_ = await messages.change(delete(message, "mod", any_author=True))
    assert changed
    assert (gone.text, gone.data, gone.mentions, gone.reactions) == ("", None, None, None)
    assert (gone.seq, gone.rev, gone.deleted_by) == (1, 2, "mod")
    assert await read(messages) == [gone]
    assert (await messages.change(delete(message)))[:2] == (gone, False), "deleting it again is harmless"
    details = {"author": "ann", "seq": 1, "text": "secret", "data": [1], "mentions": ["bob"]}
    assert await audited(db) == [("mod", "message.delete", "lobby", message.id, details)]
    for change in (edit(message, "back"), react(message, "bob"), react(message, "bob", on=False)):
        with pytest.raises(Conflict):
            await messages.change(change)
    replayed, new = await messages.append(Draft("lobby", ANN, "secret", nonce="n"))
    assert (replayed.id, replayed.text, new) == (message.id, "", False), "a late retry does not bring it back"


async def test_only_the_author_or_a_moderator_can_change_a_message(messages: Messages) -> None:
    message = await said(messages)
    for change in (edit(message, "x", "bob"), delete(message, "bob")):
        with pytest.raises(Forbidden):
            await messages.change(change)
    assert (await messages.change(edit(message, "x", "mod", any_author=True))).message.text == "x"


async def test_a_message_of_another_room_is_not_found(messages: Messages) -> None:
    message = await said(messages)
    await said(messages, room="other")
    for room, id_ in (("other", message.id), ("nowhere", message.id), ("lobby", "nothing")):
        for change in (
            Edit(room, id_, "ann", True, "x"),
            Delete(room, id_, "ann", True),
            React(room, id_, "ann", "+1", True),
        ):
            with pytest.raises(NotFound):
                await messages.change(change)
    assert await read(messages) == [message]


async def test_a_reaction_exists_once_until_it_is_removed(messages: Messages) -> None:
    message = await said(messages)
    assert (await messages.change(react(message, "ann"))).message.reactions == [Reaction("+1", 1, ["ann"])]
    assert (await messages.change(react(message, "ann"))).changed is False
    now = (await messages.change(react(message, "bob", "👍"))).message
    assert now.reactions == [Reaction("+1", 1, ["ann"]), Reaction("👍", 1, ["bob"])]
    assert await read(messages) == [now]
    left = (await messages.change(react(message, "ann", on=False))).message
    assert (left.reactions, left.rev) == ([Reaction("👍", 1, ["bob"])], 3)
    assert (await messages.change(react(message, "ann", on=False))).changed is False
    assert (await messages.change(react(message, "bob", "👍", on=False))).message.reactions is None


async def test_the_number_of_edits_is_bounded(messages: Messages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_EDITS", 4)
    message, other = await said(messages), await said(messages)
    await messages.change(edit(message, "1"))
    edits = (messages.change(edit(message, str(number))) for number in range(2, 7))
    outcomes = await asyncio.gather(*edits, messages.change(edit(other, "x")), return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 2
    assert (await messages.change(delete(message))).changed


async def test_reactions_are_bounded_in_kinds_and_shown_users(messages: Messages) -> None:
    message = await said(messages)
    await asyncio.gather(*(messages.change(react(message, f"u{i}")) for i in range(SHOWN_USERS + 5)))
    for number in range(1, MAX_EMOJI):
        await messages.change(react(message, "ann", f"e{number}"))
    with pytest.raises(Conflict):
        await messages.change(react(message, "ann", "one more"))
    shown = (await messages.change(react(message, "ann", "+1"))).message.reactions
    assert shown is not None
    assert (len(shown), shown[0].count, len(shown[0].users)) == (MAX_EMOJI, SHOWN_USERS + 6, SHOWN_USERS)


async def test_a_page_reads_reactions_with_one_query_or_none(db: Database, messages: Messages) -> None:
    sent = [await said(messages, str(number)) for number in range(5)]
    asked: list[str] = []

    def note(*args: Any) -> None:
        asked.append(args[2])

    reader = db._engines.reader.sync_engine
    sa.event.listen(reader, "before_cursor_execute", note)
    await read(messages)
    assert len(asked) == 1
    sa.event.remove(reader, "before_cursor_execute", note)
    for message in sent[1:4]:
        await messages.change(react(message, "bob"))
    asked.clear()
    sa.event.listen(reader, "before_cursor_execute", note)
    assert [len(message.reactions or []) for message in await read(messages)] == [0, 1, 1, 1, 0]
    assert len(asked) == 2


async def test_changes_of_two_servers_at_once_take_one_rev_each(
    open_database: OpenDatabase, open_messages: OpenMessages
) -> None:
    servers = [await open_messages(await open_database()) for _ in range(2)]
    sent = [await said(servers[0], str(number), room=f"r{number % 3}") for number in range(6)]
    changes = [react(message, f"u{user}") for user in range(10) for message in sent]
    mixed = [servers[0].append(Draft(f"r{number % 3}", BOB, "x")) for number in range(30)]
    done = await asyncio.gather(*(servers[place % 2].change(change) for place, change in enumerate(changes)), *mixed)
    revs: dict[str, list[int]] = {}
    for outcome in done[: len(changes)]:
        revs.setdefault(outcome[0].room, []).append(outcome[0].rev or 0)
    assert {room: sorted(found) for room, found in revs.items()} == {f"r{i}": list(range(1, 21)) for i in range(3)}
    for room in ("r0", "r1", "r2"):
        page = await read(servers[1], room)
        assert [message.seq for message in page] == list(range(1, 13))
        assert [reaction.count for message in page for reaction in message.reactions or []] == [10, 10]


async def test_the_same_reaction_from_two_servers_at_once_counts_once(
    open_database: OpenDatabase, open_messages: OpenMessages
) -> None:
    servers = [await open_messages(await open_database()) for _ in range(2)]
    message = await said(servers[0])
    for on in (True, False, True):
        done = await asyncio.gather(*(server.change(react(message, "ann", on=on)) for server in servers * 3))
        assert sorted(outcome.changed for outcome in done) == [False] * 5 + [True]
    assert (await read(servers[1]))[0].reactions == [Reaction("+1", 1, ["ann"])]


async def test_changes_and_messages_share_commits_and_rejections_fail_alone(db: Database, messages: Messages) -> None:
    message = await said(messages)
    before = db.commits
    answers = await asyncio.gather(
        *(messages.change(edit(message, f"{number}")) for number in range(20)),
        *(messages.change(edit(message, "x", "bob")) for _ in range(20)),
        *(messages.append(Draft("lobby", BOB, str(number))) for number in range(20)),
        return_exceptions=True,
    )
    assert db.commits - before <= 3
    assert [type(answer) for answer in answers[20:40]] == [Forbidden] * 20
    assert [answer.message.rev for answer in answers[:20]] == list(range(1, 21))  # type: ignore[union-attr]
    assert len(await read(messages)) == 21


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x" * 5_000])
async def test_invalid_changes_are_rejected_and_are_no_database_failure(messages: Messages, bad: str) -> None:
    message = await said(messages)
    for change in (
        Edit(bad, message.id, "ann", False, "x"),
        Edit("lobby", bad, "ann", False, "x"),
        Edit("lobby", message.id, "ann", False, "x", mentions=[bad]),
        Delete("lobby", message.id, bad, False),
        React("lobby", message.id, "ann", bad, True),
    ):
        with pytest.raises(InvalidPayload):
            await messages.change(change)
