"""What the store takes and gives: plain records, camelCase on the wire, times as ISO-8601 UTC with milliseconds.

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
    """Who wrote a message, under the name of that moment."""

    id: str
    name: str


class Reaction(Struct, frozen=True, rename="camel"):
    """One emoji on a message: how many users gave it, and the first of them."""

    emoji: str
    count: int
    users: list[str]


class Message(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A saved message. `seq` counts from 1 in its room, without gaps. Absent fields are left out on the wire.

    `rev` is there once it was changed: each change of a message takes the next one of its room. A deleted message is
    a tombstone: it keeps its place, and has neither text, data, mentions nor reactions.
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
    """A message that is not saved yet. The same `nonce` of one author in one room names the same message.

    `slow_seconds`: not within so long after the author's last one in that room.
    """

    room: str
    author: Author
    text: str
    nonce: str | None = None
    reply_to: str | None = None
    data: Any = None
    mentions: list[str] | None = None
    slow_seconds: int | None = None


class Member(Struct, frozen=True, rename="camel"):
    """Somebody who has joined a room."""

    id: str
    name: str


class RoomSummary(Struct, frozen=True, rename="camel"):
    """A room as one member sees it in the list of rooms. `mentions`: how many of the unread mention the member.

    `policy` is the room's own, None for the default one.
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
    """How one user stands in a room, a `member` or not. Messages before `first_seq` are not kept any more."""

    room: str
    last_seq: int
    first_seq: int
    rev: int
    last_read: int
    unread: int
    mentions: int
    member: bool
