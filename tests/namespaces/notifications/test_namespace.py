"""/notifications: the inbox of a user on several devices."""

from collections.abc import Awaitable, Callable
from typing import Any

from tests.namespaces.conftest import Device

Notify = Callable[..., Awaitable[dict[str, Any]]]
INBOX = "/notifications"


async def test_a_notification_reaches_all_devices_of_its_user_only(device: Device, notify: Notify) -> None:
    phone, laptop, bob = await device("alice", INBOX), await device("alice", INBOX), await device("bob", INBOX)
    for client in (phone, laptop, bob):
        assert await client.next("unread") == [{"count": 0, "unseen": 0, "types": {}}]
    await notify(user="alice", type="order", message="Your order is on its way", data={"order": 7})
    [seen] = await phone.next("notification")
    assert await laptop.next("notification") == [seen]
    assert set(seen) == {"id", "seq", "type", "message", "data", "createdAt", "read", "seen", "count"}
    assert (seen["seq"], seen["type"], seen["message"]) == (1, "order", "Your order is on its way")
    assert (seen["data"], seen["read"]) == ({"order": 7}, False)
    listed = await phone.call("list")
    assert listed == {"ok": True, "notifications": [seen], "more": False}
    assert (await bob.call("list", {}))["notifications"] == []
    assert not bob.received("notification")


async def test_an_offline_user_finds_the_notification_on_the_next_connect(device: Device, notify: Notify) -> None:
    await notify(user="alice", type="a", message="one")
    await notify(user="alice", type="b", message="two")
    phone = await device("alice", INBOX)
    assert await phone.next("unread") == [{"count": 2, "unseen": 2, "types": {"a": 1, "b": 1}}]
    listed = (await phone.call("list", {}))["notifications"]
    assert [n["message"] for n in listed] == ["two", "one"]
    assert not phone.received("notification"), "what is listed is not pushed again"


async def test_read_on_one_device_shows_on_the_other(device: Device, notify: Notify) -> None:
    phone, laptop = await device("alice", INBOX), await device("alice", INBOX)
    for number in range(3):
        await notify(user="alice", type="t", message=str(number))
    ids = [n["id"] for n in (await phone.call("list"))["notifications"]]
    assert await phone.call("read", {"ids": ids[:1]}) == {"ok": True, "unread": 2, "unseen": 2}
    assert await laptop.next("read") == [{"ids": ids[:1], "unread": 2, "unseen": 2}]
    assert [n["id"] for n in (await laptop.call("list", {"unread": True}))["notifications"]] == ids[1:]
    assert await laptop.call("read", {"all": True}) == {"ok": True, "unread": 0, "unseen": 0}
    assert await phone.next("read") == [{"all": True, "unread": 0, "unseen": 0}]
    assert await phone.call("read", {"all": True}) == {"ok": True, "unread": 0, "unseen": 0}
    assert await phone.call("read", {"upTo": 3}) == {"ok": True, "unread": 0, "unseen": 0}
    for wrong in ({}, {"ids": [], "upTo": 1}, {"all": True, "upTo": 1}, {"upTo": None}):
        assert (await phone.call("read", wrong))["error"]["code"] == "invalid_payload"
    assert all(n["read"] for n in (await phone.call("list"))["notifications"])
    assert await laptop.call("delete", {"ids": [*ids[:2], "unknown"]}) == {"ok": True, "unread": 0, "unseen": 0}
    assert (await phone.next("deleted"))[0]["unread"] == 0
    assert [n["id"] for n in (await phone.call("list"))["notifications"]] == ids[2:]
    assert len(laptop.received("read")) == 1
    assert not laptop.received("deleted")


async def test_a_user_cannot_read_or_delete_for_another(device: Device, notify: Notify) -> None:
    alice, bob = await device("alice", INBOX), await device("bob", INBOX)
    await notify(user="alice", type="t", message="private")
    [[seen]] = [await alice.next("notification")]
    await bob.call("read", {"ids": [seen["id"]]})
    await bob.call("delete", {"ids": [seen["id"]]})
    [kept] = (await alice.call("list"))["notifications"]
    assert not kept["read"]


async def test_the_inbox_is_paged_from_new_to_old(device: Device, notify: Notify) -> None:
    for number in range(7):
        await notify(user="alice", type="t", message=str(number))
    alice = await device("alice", INBOX)
    seen: list[str] = []
    before: dict[str, Any] = {}
    more = True
    while more:
        page = await alice.call("list", {"limit": 3, **before})
        seen += [n["message"] for n in page["notifications"]]
        before, more = {"before": page["notifications"][-1]["seq"]}, page["more"]
    assert seen == list("6543210")


async def test_a_notification_repeated_with_its_key_is_pushed_once(device: Device, notify: Notify) -> None:
    alice = await device("alice", INBOX)
    for _ in range(2):
        await notify(user="alice", type="t", message="once", key="order-7")
    await notify(user="alice", type="t", message="other", key="order-8")
    await alice.next("notification", where=lambda n: n["message"] == "other")
    assert [n["message"] for [n] in alice.received("notification")] == ["once", "other"]


async def test_seen_is_not_read_and_shows_on_the_other_device(device: Device, notify: Notify) -> None:
    phone, laptop = await device("alice", INBOX), await device("alice", INBOX)
    for number in range(4):
        await notify(user="alice", type="even" if number % 2 == 0 else "odd", message=str(number))
    ids = [n["id"] for n in (await phone.call("list"))["notifications"]]
    assert await phone.call("seen", {"upTo": 2}) == {"ok": True, "unread": 4, "unseen": 2}
    assert await laptop.next("seen") == [{"upTo": 2, "unread": 4, "unseen": 2}]
    assert await laptop.call("seen", {"ids": ids[:1]}) == {"ok": True, "unread": 4, "unseen": 1}
    assert await phone.next("seen") == [{"ids": ids[:1], "unread": 4, "unseen": 1}]
    assert [n["seen"] for n in (await phone.call("list"))["notifications"]] == [True, False, True, True]
    assert (await phone.call("seen", {"all": True}))["unseen"] == 0
    assert await laptop.next("seen") == [{"all": True, "unread": 4, "unseen": 0}]
    assert (await phone.call("read", {"ids": ids[:1]}))["unread"] == 3
    assert (await phone.call("read", {"upTo": 1}))["unread"] == 2
    assert await laptop.next("read", where=lambda read: "upTo" in read) == [{"upTo": 1, "unread": 2, "unseen": 0}]
    assert await phone.call("unread") == {"ok": True, "count": 2, "unseen": 0, "types": {"even": 1, "odd": 1}}
    assert [n["message"] for n in (await phone.call("list", {"type": "even"}))["notifications"]] == ["2", "0"]
    for wrong in ({}, {"all": False}, {"all": True, "upTo": 1}, {"ids": [], "all": True}, {"upTo": -1}):
        assert (await phone.call("seen", wrong))["error"]["code"] == "invalid_payload"


async def test_replies_are_one_growing_notification(device: Device, notify: Notify) -> None:
    alice = await device("alice", INBOX)
    shown: dict[str, Any] = {}
    for number in range(1, 6):
        answer = await notify(user="alice", type="reply", message=f"{number} new replies", groupKey="post-7")
        [one] = await alice.next("notification")
        assert (one["count"], one["seq"], one["groupKey"]) == (number, number, "post-7")
        assert answer["notifications"][0]["id"] == one["id"]
        shown[one["id"]] = one
    assert (await alice.call("list"))["notifications"] == list(shown.values())
    assert (await alice.call("unread"))["count"] == 1
    await alice.call("read", {"all": True})
    await notify(user="alice", type="reply", message="1 new reply", groupKey="post-7")
    assert (await alice.next("notification"))[0]["count"] == 1
    assert len((await alice.call("list"))["notifications"]) == 2
