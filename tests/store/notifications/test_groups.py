"""Grouped, muted and expiring notifications; on both databases."""

import asyncio

import pytest

from rtserver.clock import now_ms
from rtserver.errors import NotFound
from rtserver.store.notifications.delivery_receipts import DeliveryReceipts
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.records import Notification, NotificationDraft, Preferences, Unread
from tests.store.conftest import OpenDatabase


def reply(message: str = "hi", key: str | None = None, group: str = "post-1", **more: object) -> NotificationDraft:
    return NotificationDraft("ann", "reply", message, None, key, group, **more)  # type: ignore[arg-type]


async def inbox(notifications: Notifications) -> list[Notification]:
    return (await notifications.list("ann", limit=100))[0]


async def test_replies_are_grouped_until_the_group_is_read(notifications: Notifications) -> None:
    [first] = await notifications.add([reply("one")])
    await notifications.add([NotificationDraft("ann", "order", "between")])
    await notifications.mark_seen("ann", None)
    [second, third] = await notifications.add([reply("two"), reply("three")])
    assert [(one.notification.seq, one.notification.count, one.new) for one in (second, third)] == [
        (3, 2, True),
        (4, 3, True),
    ]
    assert {one.notification.id for one in (first, second, third)} == {first.notification.id}
    latest, other = await inbox(notifications)
    assert latest == third.notification
    assert (latest.message, latest.seen, other.message) == ("three", False, "between")
    assert await notifications.counts("ann") == Unread(2, 1, {"order": 1, "reply": 1})
    await notifications.mark_read("ann", [latest.id])
    [fourth] = await notifications.add([reply("four")])
    assert fourth.notification.id != latest.id
    assert fourth.notification.count == 1
    assert [one.message for one in await inbox(notifications)] == ["four", "three", "between"]


async def test_groups_are_separate_by_user_and_key(notifications: Notifications) -> None:
    bobs = NotificationDraft("bob", "reply", "x", group_key="post-1")
    await notifications.add([reply(), reply(group="post-2"), bobs])
    assert [one.count for one in await inbox(notifications)] == [1, 1]
    assert (await notifications.list("bob"))[0][0].count == 1


async def test_two_servers_grow_a_group_without_loss(open_database: OpenDatabase) -> None:
    servers = [Notifications(await open_database()) for _ in range(2)]
    await asyncio.gather(*(servers[i % 2].add([reply(f"r{i // 2}", key=f"k{i // 2}")]) for i in range(40)))
    [one] = await inbox(servers[0])
    assert one.count == 20
    assert one.seq == 20


async def test_a_key_is_known_after_its_group_has_grown(notifications: Notifications) -> None:
    first, second = await notifications.add([reply("one", "k1"), reply("two", "k2")])
    again = await notifications.add([reply("one", "k1"), reply("two", "k2")])
    assert [(one.notification, one.new) for one in again] == [(second.notification, False)] * 2
    [third] = await notifications.add([reply("three")])
    [again_third] = await notifications.add([reply("one", "k1")])
    assert (again_third.notification, again_third.new) == (third.notification, False)
    assert first.notification.id == third.notification.id
    await notifications.delete("ann", [third.notification.id])
    [fresh] = await notifications.add([reply("one", "k1")])
    assert (fresh.new, fresh.notification.count) == (True, 1)


async def test_expired_notifications_are_not_listed_counted_or_grown(notifications: Notifications) -> None:
    [gone] = await notifications.add([reply(expires_at=1)])
    assert (gone.new, gone.wanted) == (True, False)
    assert gone.notification.expires_at == "1970-01-01T00:00:00.001Z"
    assert await inbox(notifications) == []
    assert await notifications.counts("ann") == Unread()
    assert await notifications.still_unread(gone.notification.id) is None
    [fresh] = await notifications.add([reply(expires_at=now_ms() + 60_000)])
    assert fresh.notification.id != gone.notification.id
    assert await inbox(notifications) == [fresh.notification]


async def test_the_list_of_one_type(notifications: Notifications) -> None:
    orders = [NotificationDraft("ann", "order", str(i)) for i in (0, 3, 6)]
    await notifications.add([orders[i // 3] if i % 3 == 0 else reply(group=f"g{i}") for i in range(9)])
    page, more = await notifications.list("ann", type="order", limit=2)
    assert ([one.message for one in page], more) == (["6", "3"], True)
    page, more = await notifications.list("ann", type="order", limit=2, before=page[-1].seq)
    assert ([one.message for one in page], more) == (["0"], False)


async def test_seen_up_to_a_number(notifications: Notifications) -> None:
    ids = [one.notification.id for one in await notifications.add([reply(group=f"g{i}") for i in range(5)])]
    assert await notifications.mark_seen("ann", None, 3) == (ids[:3], Unread(5, 2, {"reply": 5}))
    assert await notifications.mark_seen("ann", None, 3) == ([], Unread(5, 2, {"reply": 5}))
    assert await notifications.mark_seen("ann", [ids[0], ids[4]]) == ([ids[4]], Unread(5, 1, {"reply": 5}))
    assert await notifications.mark_read("ann", [ids[3]]) == ([ids[3]], Unread(4, 0, {"reply": 4}))


async def test_muted_notifications_are_saved_but_not_counted(
    notifications: Notifications, preference_store: PreferenceStore
) -> None:
    [before] = await notifications.add([reply("before")])
    await preference_store.change("ann", lambda _: Preferences(("ads",), ("noisy",)))
    muted = await notifications.add(
        [
            NotificationDraft("ann", "ads", "buy"),
            reply("in a muted room", room="noisy"),
            reply("again", room="noisy"),
            reply("elsewhere", room="calm"),
            NotificationDraft("bob", "ads", "buy"),
        ]
    )
    assert [one.wanted for one in muted] == [False, False, False, True, True]
    assert [one.notification.count for one in muted] == [1, 1, 2, 2, 1]
    assert muted[3].notification.id == before.notification.id
    assert await notifications.counts("ann") == Unread(1, 1, {"reply": 1})
    assert [(one.message, one.read, one.muted) for one in await inbox(notifications)] == [
        ("elsewhere", False, False), ("again", True, True), ("buy", True, True),
    ]  # fmt: skip


async def test_receipts_are_for_the_current_state_of_a_notification(
    notifications: Notifications, deliveries: DeliveryReceipts
) -> None:
    [one] = await notifications.add([reply("one")])
    id_ = one.notification.id
    await asyncio.gather(
        deliveries.record("ann", "phone", {id_: 1}),
        deliveries.record("ann", "phone", {id_: None, "unknown": None}),
        deliveries.record("ann", "laptop", {id_: None}),
        deliveries.record("bob", "thief", {id_: None}),
        deliveries.record("ann", "old", {id_: 7}),
    )
    user, found, receipts = await notifications.find(id_)
    assert (user, found) == ("ann", one.notification)
    assert sorted(receipt.device for receipt in receipts) == ["laptop", "phone"]
    for number in range(100):
        await deliveries.record("ann", f"device {number}", {id_: None})
    assert len((await notifications.find(id_))[2]) == 50
    await notifications.add([reply("two")])
    assert (await notifications.find(id_))[2] == ()
    await deliveries.record("ann", "phone", {id_: 1})
    assert (await notifications.find(id_))[2] == ()
    await deliveries.record("ann", "phone", {id_: 2})
    await notifications.delete("ann", [id_])
    with pytest.raises(NotFound):
        await notifications.find(id_)
