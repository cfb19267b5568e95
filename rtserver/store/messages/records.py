"""Chat records: what the store takes and returns. camelCase on the wire, times as ISO-8601 UTC with milliseconds.

Knows nothing of tables or events.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rtserver.store.notifications.records import Notification, NotificationDraft

__all__ = [
    "Author",
    "Draft",
    "Member",
    "Message",
    "Notification",
    "NotificationDraft",
    "Reaction",
    "RoomSummary",
]


class Author(Struct, frozen=True, rename="camel"):
    """The author of a message, with the name at that time."""

    id: str
    name: str


class Reaction(Struct, frozen=True, rename="camel"):
    """One emoji on a message: the number of its users, and the first of them."""

    emoji: str
    count: int
    users: list[str]


class Message(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A saved message. `seq` counts from 1 in its room, without gaps. Fields without a value are left out on the wire.

    `rev` is set once the message was changed: each change takes the next `rev` of the room. A deleted message is a
    tombstone: it keeps its `seq`, but has no text, data, mentions or reactions.
    """

    id: str
    seq: int
    room: str
    from_: Author = field(name="from")
    text: str
    sent_at: str
    nonce: str | None = None
    reply_to: str | None = None
    data: Any = None
    mentions: list[str] | None = None
    rev: int | None = None
    edited_at: str | None = None
    deleted_at: str | None = None
    deleted_by: str | None = None
    reactions: list[Reaction] | None = None


class Draft(Struct, frozen=True, rename="camel"):
    """A message to be saved. Drafts of one author in one room with the same `nonce` are the same message.

    `slow_seconds`: the seconds that must have passed since the author's last message in the room; None: no slow mode.
    `opens`: the users that become members of the room with the message.
    """

    room: str
    author: Author
    text: str
    nonce: str | None = None
    reply_to: str | None = None
    data: Any = None
    mentions: list[str] | None = None
    slow_seconds: int | None = None
    opens: list[Member] | None = None


class Member(Struct, frozen=True, rename="camel"):
    """A user who has joined a room."""

    id: str
    name: str


class RoomSummary(Struct, frozen=True, rename="camel"):
    """A room in a member's list of rooms. `mentions`: how many of the unread messages mention the member.

    `policy`: the room's own one, None for the default.
    """

    room: str
    unread: int
    last_message: Message | None
    last_read: int
    mentions: int = 0
    rev: int = 0
    policy: str | None = None
    meta: Any = None


class ReadState(Struct, frozen=True, rename="camel"):
    """What one user, `member` or not, has read of a room. Messages before `first_seq` were removed by retention."""

    room: str
    last_seq: int
    first_seq: int
    rev: int
    last_read: int
    unread: int
    mentions: int
    member: bool
