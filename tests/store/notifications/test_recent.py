"""Recent notifications and the counts of many users at once; on both databases."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from rtserver.clock import now_ms
from rtserver.store.db.database import Database
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.quiet_hours import QuietHours
from rtserver.store.notifications.recent import NEWEST, RecentNotifications
from rtserver.store.notifications.records import NotificationDraft, Unread


async def test_what_was_saved_since_and_is_unread_is_found_in_order(
    db: Database, notifications: Notifications, preference_store: PreferenceStore
) -> None:
    began, recent = now_ms(), RecentNotifications(db)
    now = datetime.now(UTC)
    hours = [(now + timedelta(hours=by)).strftime("%H:%M") for by in (-2, 2)]
    await preference_store.change("bob", lambda p: replace(p, quiet_hours=QuietHours(hours[0], hours[1], "UTC")))
    await preference_store.change("ann", lambda p: replace(p, muted_types=("ads",)))
    read, *_ = await notifications.add([
        NotificationDraft("ann", "t", "read"), NotificationDraft("ann", "ads", "muted"),
        NotificationDraft("ann", "t", "one"), NotificationDraft("bob", "t", "quiet"),
        NotificationDraft("cy", "t", "another's"), NotificationDraft("ann", "t", "two"),
    ])  # fmt: skip
    await notifications.mark_read("ann", [read.notification.id])
    found = await recent.since(["ann", "bob", "nobody"], began)
    assert [(one.notification.message, one.silent) for one in found if one.user == "ann"] == [
        ("one", False), ("two", False),
    ]  # fmt: skip
    assert [(one.notification.message, one.silent) for one in found if one.user == "bob"] == [("quiet", True)]
    assert len(found) == 3
    assert await recent.since(["ann"], now_ms() + 60_000) == []
    assert await recent.counts(["ann", "nobody", "bob"]) == {
        "ann": Unread(2, 2, {"t": 2}), "nobody": Unread(), "bob": Unread(1, 1, {"t": 1}),
    }  # fmt: skip


async def test_only_the_newest_are_looked_at(db: Database, notifications: Notifications) -> None:
    began = now_ms()
    await notifications.add([NotificationDraft("ann", "t", f"{number}") for number in range(NEWEST + 5)])
    found = await RecentNotifications(db).since(["ann"], began)
    assert [one.notification.message for one in found] == [f"{number}" for number in range(5, NEWEST + 5)]
