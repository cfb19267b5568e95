"""The notification store; on both databases."""

import asyncio

import pytest

from rtserver.answer_size import ANSWER_BYTES, size_of
from rtserver.errors import Conflict, InvalidPayload
from rtserver.store.db.database import Database
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.records import Notification, NotificationDraft, Unread
from tests.store.conftest import OpenDatabase


def note(user: str = "ann", message: str = "hi", key: str | None = None, data: object = None) -> NotificationDraft:
    return NotificationDraft(user, "order", message, data, key)


async def saved(notifications: Notifications, *drafts: NotificationDraft) -> list[Notification]:
    return [one.notification for one in await notifications.add(drafts)]


async def test_a_notification_is_listed_for_its_user(notifications: Notifications) -> None:
    [(saved, new, silent, _)] = await notifications.add([note(data={"id": 5})])
    assert (new, silent) == (True, False)
    assert (saved.seq, saved.type, saved.message, saved.data) == (1, "order", "hi", {"id": 5})
    assert (saved.read, saved.seen, saved.count, saved.muted) == (False, False, 1, False)
    assert await notifications.list("ann", before=None, limit=50) == ([saved], False)
    assert await notifications.unread("ann") == 1
    assert await notifications.list("bob", before=None, limit=50) == ([], False)


async def test_many_users_are_notified_in_one_commit(db: Database, notifications: Notifications) -> None:
    before = db.commits
    saved = await notifications.add([note(f"user{i % 1_000}") for i in range(2_000)])
    assert db.commits - before == 1
    assert [n.seq for n, *_ in saved] == [1] * 1_000 + [2] * 1_000


async def test_the_same_key_returns_the_first_notification(notifications: Notifications) -> None:
    [first] = await saved(notifications, note(key="k", data={"a": 1, "b": 2}))
    answers = await notifications.add([note(key="k", data={"b": 2, "a": 1}), note("bob", key="k"), note(key="l")])
    assert [(n.seq, new) for n, new, *_ in answers] == [(1, False), (1, True), (2, True)]
    assert answers[0].notification == first


async def test_the_same_key_with_another_body_is_a_conflict_and_saves_nothing(
    notifications: Notifications,
) -> None:
    await notifications.add([note(key="k")])
    for other in (note(message="other", key="k"), note(key="k", data={}), NotificationDraft("ann", "x", "hi", key="k")):
        with pytest.raises(Conflict):
            await notifications.add([note("bob"), other])
    with pytest.raises(Conflict):
        await notifications.add([note("cat", key="c"), note("cat", "other", key="c")])
    [again] = await notifications.add([NotificationDraft("ann", "order", "edited", key="k", once=True)])
    assert (again.new, again.notification.message) == (False, "hi")
    assert [await notifications.unread(user) for user in ("ann", "bob", "cat")] == [1, 0, 0]


async def test_the_same_key_twice_in_one_call_is_one(notifications: Notifications) -> None:
    answers = await notifications.add([note(key="k"), note(key="k"), note()])
    assert [(n.seq, new) for n, new, *_ in answers] == [(1, True), (1, False), (2, True)]


async def test_two_servers_number_an_inbox_without_gaps_or_duplicates(open_database: OpenDatabase) -> None:
    servers = [Notifications(await open_database()) for _ in range(2)]
    users = ["ann", "bob", "cat"]
    await asyncio.gather(
        *(servers[i % 2].add([note(user, key=f"k{i // 2}") for user in users[:: 1 - i % 2 * 2]]) for i in range(40))
    )
    for user in users:
        found, more = await servers[0].list(user, before=None, limit=100)
        assert ([n.seq for n in found], more) == (list(range(20, 0, -1)), False)


async def test_pages_run_from_new_to_old(notifications: Notifications) -> None:
    await notifications.add([note(message=str(i)) for i in range(1, 26)])
    seen: list[int] = []
    before, more = None, True
    while more:
        page, more = await notifications.list("ann", before=before, limit=10)
        seen, before = seen + [n.seq for n in page], page[-1].seq
    assert seen == list(range(25, 0, -1))


async def test_reading_some_then_all(notifications: Notifications) -> None:
    five = await saved(notifications, *[note() for _ in range(5)])
    changed, left = await notifications.mark_read("ann", [five[0].id, five[0].id, five[2].id, "unknown"])
    assert (changed, left) == ([five[0].id, five[2].id], Unread(3, 3, {"order": 3}))
    assert await notifications.mark_read("ann", [five[0].id]) == ([], left)
    page, more = await notifications.list("ann", before=None, limit=50, unread=True)
    assert ([n.seq for n in page], more) == ([5, 4, 2], False)
    changed, left = await notifications.mark_read("ann", None)
    assert (changed, left) == ([five[1].id, five[3].id, five[4].id], Unread())
    assert all(n.read and n.seen for n in (await notifications.list("ann", before=None, limit=50))[0])
    assert await notifications.mark_read("ann", None) == ([], Unread())
    assert await notifications.mark_read("nobody", None) == ([], Unread())


async def test_a_user_cannot_read_or_delete_notifications_of_others(notifications: Notifications) -> None:
    anns, bobs = await saved(notifications, note("ann"), note("bob"))
    one = Unread(1, 1, {"order": 1})
    assert await notifications.mark_read("bob", [anns.id]) == ([], one)
    assert await notifications.mark_seen("bob", [anns.id]) == ([], one)
    assert await notifications.delete("bob", [anns.id]) == (0, one)
    assert await notifications.delete("bob", [bobs.id, anns.id]) == (1, Unread())
    assert await notifications.unread("ann") == 1


async def test_the_number_of_a_deleted_notification_is_not_reused(notifications: Notifications) -> None:
    first, second = await saved(notifications, note(), note())
    assert await notifications.delete("ann", [second.id, first.id]) == (2, Unread())
    assert await notifications.delete("ann", []) == (0, Unread())
    [third] = await saved(notifications, note())
    assert third.seq == 3


async def test_a_long_list_of_ids_is_accepted(notifications: Notifications) -> None:
    ten = [n.id for n in await saved(notifications, *[note() for _ in range(10)])]
    ids = [f"unknown{i}" for i in range(50_000)] + ten
    assert await notifications.mark_read("ann", ids) == (ten, Unread())
    assert await notifications.delete("ann", ids) == (10, Unread())


async def test_devices_that_read_at_once_share_the_work(notifications: Notifications) -> None:
    await notifications.add([note() for _ in range(20)])
    answers = await asyncio.gather(*(notifications.mark_read("ann", None) for _ in range(5)))
    assert sorted(len(changed) for changed, _ in answers) == [0, 0, 0, 0, 20]
    assert {left.count for _, left in answers} == {0}


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
async def test_invalid_values_are_rejected_and_nothing_is_saved(notifications: Notifications, bad: str) -> None:
    hostile_drafts = [note(bad), note(message=bad), note(key=bad), NotificationDraft("ann", bad, "hi")]
    hostile_drafts += [NotificationDraft("ann", "t", "hi", **{field: bad}) for field in ("group_key", "room")]
    hostile_drafts += [NotificationDraft("ann", "t", "hi", expires_at=at) for at in (-1, 0, 10**15, 2**80)]
    for hostile in hostile_drafts:
        with pytest.raises(InvalidPayload):
            await notifications.add([note(), hostile])
    for call in (
        notifications.list(bad, before=None, limit=5),
        notifications.unread(bad),
        notifications.mark_read(bad, None),
        notifications.mark_seen(bad, None),
        notifications.list("ann", type=bad),
        notifications.find(bad),
        notifications.delete("ann", [bad]),
    ):
        with pytest.raises(InvalidPayload):
            await call
    assert await notifications.unread("ann") == 0
    assert await notifications.add([]) == []


@pytest.mark.parametrize(("before", "limit"), [(None, 0), (None, -5), (None, 2**80), (-1, 5), (2**63, 5)])
async def test_an_invalid_page_is_rejected(notifications: Notifications, before: int | None, limit: int) -> None:
    with pytest.raises(InvalidPayload):
        await notifications.list("ann", before=before, limit=limit)


async def test_a_page_ends_at_the_bytes_of_an_answer(notifications: Notifications) -> None:
    for number in range(60):
        await notifications.add([NotificationDraft("ann", "t", f"{number}" + "x" * 15_000, {"a": "y" * 15_000})])
    before, more, seen = None, True, []
    while more:
        page, more = await notifications.list("ann", before=before, limit=100)
        assert 0 < size_of(page) <= ANSWER_BYTES
        before = page[-1].seq
        seen += [note.seq for note in page]
    assert seen == list(range(60, 0, -1))
    await notifications.add([NotificationDraft("ann", "t", "x" * 600_000)])
    page, more = await notifications.list("ann")
    assert ([note.seq for note in page], more) == ([61], True)
