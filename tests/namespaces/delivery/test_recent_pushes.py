"""Recent pushes: a notification is pushed to a device once, and what is kept is bounded."""

from rtserver.namespaces.delivery.recent_pushes import KEPT, RecentPushes


def test_a_notification_is_new_once_and_gaps_are_normal() -> None:
    pushes = RecentPushes()
    assert [pushes.note("ada", seq) for seq in (4, 9, 9, 4, 7)] == [True, True, False, False, True]
    assert pushes.note("bob", 9)
    assert [pushes.has("ada", seq) for seq in (3, 4, 5, 7, 9)] == [False, True, False, True, True]


def test_beyond_the_kept_ones_older_ones_count_as_pushed() -> None:
    pushes = RecentPushes()
    for seq in range(2, 2 * KEPT + 2, 2):
        assert pushes.note("ada", seq)
    assert pushes.has("ada", 1)
    assert not pushes.has("ada", 2 * KEPT - 1)
    for seq in range(1000, 1000 + KEPT):
        pushes.note("ada", seq)
    assert pushes.has("ada", 500)


def test_a_user_without_devices_is_forgotten() -> None:
    pushes = RecentPushes()
    pushes.note("ada", 1)
    pushes.forget("ada")
    pushes.forget("nobody")
    assert len(pushes) == 0
    assert pushes.note("ada", 1)
