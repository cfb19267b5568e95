"""Notification records: what the store takes and returns. camelCase on the wire, times as ISO-8601 UTC.

Knows nothing of tables or events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct

from rtserver.store.notifications.quiet_hours import QuietHours


class Notification(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A saved notification. `seq` rises per user; a group that grows takes a new `seq` and keeps its id.

    `read` implies `seen`. `count`: the notifications of its group that it replaces, itself included. `muted`: the user
    muted its type or room, so it is not pushed.
    """

    id: str
    seq: int
    type: str
    message: str
    data: Any
    created_at: str
    read: bool
    seen: bool
    count: int
    group_key: str | None = None
    room: str | None = None
    expires_at: str | None = None
    muted: bool = False


class NotificationDraft(Struct, frozen=True, rename="camel"):
    """A notification to be saved. Drafts of one user with the same `key` are the same notification.

    While the last notification of the same `group_key` is unread, this one replaces it. `room`: the room that it is
    about. `expires_at`: milliseconds since the epoch. `once`: an earlier notification with the `key` counts as the same
    one, even with another body. `one_webhook`: of its type and room, one webhook waits at a time.
    """

    user: str
    type: str
    message: str
    data: Any = None
    key: str | None = None
    group_key: str | None = None
    room: str | None = None
    expires_at: int | None = None
    once: bool = False
    one_webhook: bool = False


class Delivered(NamedTuple):
    """The notification of one draft. `new`: False where its key was known. `silent`: during quiet hours.

    `late`: it had expired before it was saved.
    """

    notification: Notification
    new: bool
    silent: bool = False
    late: bool = False

    @property
    def wanted(self) -> bool:
        """Whether it is pushed to the user's devices."""
        return self.new and not self.late and not self.notification.muted

    @property
    def repeated(self) -> bool:
        """Whether its key was known, and the user has not read it."""
        return not self.new and not self.notification.read and not self.notification.muted


class Unread(Struct, frozen=True, rename="camel"):
    """Numbers of notifications: unread, unread and unseen, unread by type."""

    count: int = 0
    unseen: int = 0
    types: dict[str, int] = {}


class Receipt(Struct, frozen=True, rename="camel"):
    """The receipt of a notification by a device."""

    device: str
    delivered_at: str


class Preferences(Struct, frozen=True, rename="camel"):
    """The muted types and rooms of a user, and quiet hours."""

    muted_types: tuple[str, ...] = ()
    muted_rooms: tuple[str, ...] = ()
    quiet_hours: QuietHours | None = None

    def quiet_at(self, moment: datetime) -> bool:
        """Whether the moment, in UTC, is in the quiet hours."""
        return self.quiet_hours is not None and self.quiet_hours.until(moment) is not None

    def mutes(self, draft: NotificationDraft) -> bool:
        """Whether the type or the room of the draft is muted."""
        return draft.type in self.muted_types or (draft.room is not None and draft.room in self.muted_rooms)


NO_PREFERENCES = Preferences()
