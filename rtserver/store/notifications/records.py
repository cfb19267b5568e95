"""What the inboxes take and give: plain records, camelCase on the wire, times as ISO-8601 UTC with milliseconds.

Knows nothing of tables or events.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Struct

from rtserver.store.notifications.quiet_hours import QuietHours


class Notification(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A saved notification. `seq` rises for its user; a group that grows takes a new one and keeps its id.

    `read` implies `seen`. `count`: how many of its group it stands for. `muted`: its user wants no word of it.
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
    """A notification that is not saved yet. The same `key` of one user names the same notification.

    While the last one of the same `group_key` is unread, this one takes its place. `room` is what it is about;
    `expires_at` is in milliseconds since the epoch. `once`: whatever else has the `key` is it, what it says aside.
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


class Delivered(NamedTuple):
    """The notification of one draft. `new` is False where its key was known; `silent`: in the user's quiet hours.

    `late`: it had expired before it was saved.
    """

    notification: Notification
    new: bool
    silent: bool = False
    late: bool = False

    @property
    def wanted(self) -> bool:
        """Whether the user's devices should hear of it."""
        return self.new and not self.late and not self.notification.muted


class Unread(Struct, frozen=True, rename="camel"):
    """How many are unread, how many of these were not seen either, and how many of each type are unread."""

    count: int = 0
    unseen: int = 0
    types: dict[str, int] = {}


class Receipt(Struct, frozen=True, rename="camel"):
    """A device has a notification."""

    device: str
    delivered_at: str


class Preferences(Struct, frozen=True, rename="camel"):
    """What a user wants to hear of."""

    muted_types: tuple[str, ...] = ()
    muted_rooms: tuple[str, ...] = ()
    quiet_hours: QuietHours | None = None

    def mutes(self, draft: NotificationDraft) -> bool:
        return draft.type in self.muted_types or (draft.room is not None and draft.room in self.muted_rooms)


NO_PREFERENCES = Preferences()
