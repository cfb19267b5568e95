"""Preferences; on both databases."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from rtserver.errors import TooLarge
from rtserver.store.notifications.notification_store import Notifications
from rtserver.store.notifications.preferences import PreferenceStore
from rtserver.store.notifications.quiet_hours import QuietHours
from rtserver.store.notifications.records import NotificationDraft, Preferences


async def test_concurrent_changes_of_preferences_are_all_kept(preference_store: PreferenceStore) -> None:
    assert await preference_store.get("ann") == Preferences()
    await asyncio.gather(
        preference_store.change("ann", lambda p: replace(p, muted_types=("ads",))),
        preference_store.change("ann", lambda p: replace(p, muted_rooms=("noisy",))),
        preference_store.change("ann", lambda p: replace(p, quiet_hours=QuietHours("22:00", "07:00", "UTC"))),
        preference_store.change("bob", lambda p: replace(p, muted_types=("orders",))),
    )
    kept = Preferences(("ads",), ("noisy",), QuietHours("22:00", "07:00", "UTC"))
    assert await preference_store.get("ann") == kept
    assert await preference_store.get("bob") == Preferences(("orders",))


async def test_a_user_cannot_fill_the_database(preference_store: PreferenceStore) -> None:
    with pytest.raises(TooLarge):
        await preference_store.change("ann", lambda _: Preferences(tuple("x" * 200 + str(i) for i in range(100))))
    assert await preference_store.get("ann") == Preferences()


async def test_notifications_in_quiet_hours_are_silent_and_counted(
    notifications: Notifications, preference_store: PreferenceStore
) -> None:
    now = datetime.now(UTC)
    around = [(now + timedelta(hours=hours)).strftime("%H:%M") for hours in (-2, 2, 4)]
    await preference_store.change("ann", lambda _: Preferences(quiet_hours=QuietHours(around[0], around[1], "UTC")))
    await preference_store.change("bob", lambda _: Preferences(quiet_hours=QuietHours(around[1], around[2], "UTC")))
    saved = await notifications.add([NotificationDraft(user, "t", "hi") for user in ("ann", "bob", "cat")])
    assert [(one.silent, one.wanted) for one in saved] == [(True, True), (False, True), (False, True)]
    assert await notifications.unread("ann") == 1
