"""Preferences and quiet hours on all devices."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.namespaces.conftest import Device

Notify = Callable[..., Awaitable[dict[str, Any]]]
INBOX = "/notifications"
NOTHING = {"mutedTypes": [], "mutedRooms": [], "quietHours": None}


async def test_preferences_are_synchronized_on_all_devices(device: Device) -> None:
    phone, laptop, bob = await device("alice", INBOX), await device("alice", INBOX), await device("bob", INBOX)
    assert await phone.call("preferences") == {"ok": True, "preferences": NOTHING}
    quiet = {"from": "22:00", "to": "07:00", "timeZone": "Europe/Paris"}
    ack = await phone.call("setPreferences", {"mutedTypes": ["ads", "ads"], "quietHours": quiet})
    assert ack == {"ok": True, "preferences": {"mutedTypes": ["ads"], "mutedRooms": [], "quietHours": quiet}}
    assert await laptop.next("preferences") == [ack["preferences"]]
    ack = await laptop.call("setPreferences", {"mutedRooms": ["noisy"], "quietHours": None})
    told = {"mutedTypes": ["ads"], "mutedRooms": ["noisy"], "quietHours": None}
    assert await phone.next("preferences") == [told]
    assert (await phone.call("preferences"))["preferences"] == told
    assert (await bob.call("preferences"))["preferences"] == NOTHING
    assert not bob.received("preferences")


async def test_muted_notifications_are_not_pushed_but_listed(device: Device, notify: Notify) -> None:
    phone = await device("alice", INBOX)
    await phone.call("setPreferences", {"mutedTypes": ["ads"]})
    answer = await notify(user="alice", type="ads", message="buy")
    assert answer["notifications"][0]["new"]
    await notify(user="alice", type="order", message="sent")
    [pushed] = await phone.next("notification")
    assert (pushed["message"], "silent" in pushed) == ("sent", False)
    assert len(phone.received("notification")) == 1
    assert await phone.call("unread") == {"ok": True, "count": 1, "unseen": 1, "types": {"order": 1}}
    [_, muted] = (await phone.call("list"))["notifications"]
    assert (muted["message"], muted["muted"], muted["read"], muted["seen"]) == ("buy", True, True, True)


async def test_pushes_in_quiet_hours_are_silent(device: Device, notify: Notify) -> None:
    phone = await device("alice", INBOX)
    now = datetime.now(UTC)
    begin, end = ((now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-3, 3))
    await phone.call("setPreferences", {"quietHours": {"from": begin, "to": end, "timeZone": "UTC"}})
    await notify(user="alice", type="order", message="sent")
    [pushed] = await phone.next("notification")
    assert (pushed["silent"], pushed["read"]) == (True, False)
    assert (await phone.call("unread"))["count"] == 1
    assert "silent" not in (await phone.call("list"))["notifications"][0]


async def test_invalid_times_and_time_zones_are_rejected(device: Device) -> None:
    phone = await device("alice", INBOX)
    good = {"from": "22:00", "to": "07:00", "timeZone": "Europe/Paris"}
    for wrong in (
        {"from": "25:00"}, {"from": "07:00"}, {"from": 22}, {"to": "7"}, {"to": None},
        {"timeZone": "Mars/Olympus"}, {"timeZone": "../../etc/passwd"}, {"timeZone": ""}, {"timeZone": "Europe"},
    ):  # fmt: skip
        ack = await phone.call("setPreferences", {"quietHours": good | wrong})
        assert ack["error"]["code"] == "invalid_payload", wrong
    many = await phone.call("setPreferences", {"mutedTypes": [str(i) for i in range(101)]})
    assert many["error"]["code"] == "invalid_payload"
    large = await phone.call("setPreferences", {"mutedRooms": [f"{i}{'x' * 190}" for i in range(100)]})
    assert large["error"]["code"] == "too_large"
    assert (await phone.call("preferences"))["preferences"] == NOTHING
