"""The inbox of a user; on both databases."""

import asyncio

import pytest

from rtserver.errors import InvalidPayload
from rtserver.store.database import Database
from rtserver.store.notifications import Notifications
from rtserver.store.records import NotificationDraft
from tests.store.conftest import OpenDatabase


def note(user: str = "ann", message: str = "hi", key: str | None = None, data: object = None) -> NotificationDraft:
    return NotificationDraft(user, "order", message, data, key)


async def test_a_notification_waits_for_its_user(notifications: Notifications) -> None:
    [(saved, new)] = await notifications.add([note(data={"id": 5})])
    assert new
    assert (saved.seq, saved.type, saved.message, saved.data, saved.read) == (1, "order", "hi", {"id": 5}, False)
    assert await notifications.list("ann", before=None, limit=50) == ([saved], False)
    assert await notifications.unread("ann") == 1
    assert await notifications.list("bob", before=None, limit=50) == ([], False)


async def test_many_users_are_told_in_one_commit(db: Database, notifications: Notifications) -> None:
    before = db.commits
    saved = await notifications.add([note(f"user{i % 1_000}") for i in range(2_000)])
    assert db.commits - before == 1
    assert [n.seq for n, _ in saved] == [1] * 1_000 + [2] * 1_000


async def test_the_same_key_gives_the_first_one(notifications: Notifications) -> None:
    [(first, _)] = await notifications.add([note(key="k")])
    answers = await notifications.add([note(message="other", key="k"), note("bob", key="k"), note(key="l")])
    assert [(n.seq, new) for n, new in answers] == [(1, False), (1, True), (2, True)]
    assert answers[0][0] == first


async def test_the_same_key_twice_in_one_call_is_one(notifications: Notifications) -> None:
    answers = await notifications.add([note(key="k"), note(key="k"), note()])
    assert [(n.seq, new) for n, new in answers] == [(1, True), (1, False), (2, True)]


async def test_two_servers_number_an_inbox_without_gaps_or_twins(open_database: OpenDatabase) -> None:
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
    saved = [n for n, _ in await notifications.add([note() for _ in range(5)])]
    changed, unread = await notifications.mark_read("ann", [saved[0].id, saved[0].id, saved[2].id, "unknown"])
    assert (changed, unread) == ([saved[0].id, saved[2].id], 3)
    assert await notifications.mark_read("ann", [saved[0].id]) == ([], 3)
    page, more = await notifications.list("ann", before=None, limit=50, unread=True)
    assert ([n.seq for n in page], more) == ([5, 4, 2], False)
    changed, unread = await notifications.mark_read("ann", None)
    assert (changed, unread) == ([saved[1].id, saved[3].id, saved[4].id], 0)
    assert all(n.read for n in (await notifications.list("ann", before=None, limit=50))[0])
    assert await notifications.mark_read("ann", None) == ([], 0)
    assert await notifications.mark_read("nobody", None) == ([], 0)


async def test_nobody_reads_or_deletes_what_is_anothers(notifications: Notifications) -> None:
    [(anns, _), (bobs, _)] = await notifications.add([note("ann"), note("bob")])
    assert await notifications.mark_read("bob", [anns.id]) == ([], 1)
    assert await notifications.delete("bob", [anns.id]) == (0, 1)
    assert await notifications.delete("bob", [bobs.id, anns.id]) == (1, 0)
    assert await notifications.unread("ann") == 1


async def test_a_deleted_number_is_not_given_again(notifications: Notifications) -> None:
    [(first, _), (second, _)] = await notifications.add([note(), note()])
    assert await notifications.delete("ann", [second.id, first.id]) == (2, 0)
    assert await notifications.delete("ann", []) == (0, 0)
    [(third, _)] = await notifications.add([note()])
    assert third.seq == 3


async def test_a_long_list_of_ids_is_no_trouble(notifications: Notifications) -> None:
    saved = [n.id for n, _ in await notifications.add([note() for _ in range(10)])]
    ids = [f"unknown{i}" for i in range(50_000)] + saved
    assert await notifications.mark_read("ann", ids) == (saved, 0)
    assert await notifications.delete("ann", ids) == (10, 0)


async def test_devices_that_read_at_once_share_the_work(notifications: Notifications) -> None:
    await notifications.add([note() for _ in range(20)])
    answers = await asyncio.gather(*(notifications.mark_read("ann", None) for _ in range(5)))
    assert sorted(len(changed) for changed, _ in answers) == [0, 0, 0, 0, 20]
    assert {unread for _, unread in answers} == {0}


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
async def test_senseless_values_are_refused_and_nothing_of_the_call_is_kept(
    notifications: Notifications, bad: str
) -> None:
    for hostile in (note(bad), note(message=bad), note(key=bad), NotificationDraft("ann", bad, "hi")):
        with pytest.raises(InvalidPayload):
            await notifications.add([note(), hostile])
    for call in (
        notifications.list(bad, before=None, limit=5),
        notifications.unread(bad),
        notifications.mark_read(bad, None),
        notifications.delete("ann", [bad]),
    ):
        with pytest.raises(InvalidPayload):
            await call
    assert await notifications.unread("ann") == 0
    assert await notifications.add([]) == []


@pytest.mark.parametrize(("before", "limit"), [(None, 0), (None, -5), (None, 2**80), (-1, 5), (2**63, 5)])
async def test_a_senseless_page_is_refused(notifications: Notifications, before: int | None, limit: int) -> None:
    with pytest.raises(InvalidPayload):
        await notifications.list("ann", before=before, limit=limit)
