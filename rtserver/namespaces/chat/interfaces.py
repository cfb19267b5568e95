"""Interfaces of /chat: what it needs from the store and the cluster. `rtserver.app.chat` passes the implementations.

Every method raises `errors.Unavailable` when the database or Redis is not available.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from rtserver.answer_size import ANSWER_BYTES
from rtserver.cluster.partial_results import PartialSet
from rtserver.store.messages.changes import Change, Changed
from rtserver.store.messages.records import Draft, Member, Message, NotificationDraft, ReadState, RoomSummary
from rtserver.store.rooms.room_settings import RoomSettings


class MessageStore(Protocol):
    async def append(self, draft: Draft) -> tuple[Message, bool]:
        """Commit a message. The flag is False when the author's nonce was known; the message is then the first one.

        Appends to one room resume their callers in the order of `seq`.
        """

    async def change(self, change: Change) -> Changed:
        """Commit an edit, a deletion or a reaction. Callers of one room resume in the order of `rev`.

        Raises `NotFound`, `Forbidden`, or `Conflict` for a deleted message or too many different reactions.
        """

    async def history(
        self,
        room: str,
        *,
        before: int | None,
        after: int | None,
        limit: int,
        size: int = ANSWER_BYTES,
        oversized: bool = True,
    ) -> tuple[list[Message], bool]:
        """A page ascending by `seq`, and whether there are more in the requested direction.

        `size`: bytes; `oversized`: a first message that is larger is returned all the same.
        """

    async def changed(
        self, room: str, *, rev: int, upto: int, limit: int, size: int = ANSWER_BYTES, oversized: bool = True
    ) -> tuple[list[Message], bool]:
        """Messages up to `upto` that changed after `rev`, by rising `rev`, and whether there are more."""

    async def has(self, room: str, id: str) -> bool:
        """Whether `room` has a message of that id."""

    async def knows(self, draft: Draft) -> bool:
        """Whether there is a message of the draft's author, room and nonce already."""

    async def mentions_of(self, room: str, id: str) -> list[str]:
        """The users whom a message mentions now; empty where there is no such message."""

    async def withdraw_mentions(self, message: Message, users: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Remove the mention notifications of `users` if `message` was deleted or removed.

        Returns (user, notification id) pairs.
        """


class RoomStore(Protocol):
    async def join(self, room: str, member: Member) -> bool:
        """Returns whether the member is new."""

    async def leave(self, room: str, user: str) -> bool: ...

    async def members(self, room: str, *, after: str = "", limit: int = 1000) -> list[Member]:
        """A page by id, beginning after the id `after`."""

    async def count_members(self, room: str) -> int: ...

    async def members_among(self, room: str, users: Sequence[str]) -> set[str]:
        """The subset of `users` that are members."""

    async def is_member(self, room: str, user: str) -> bool: ...

    async def have_common_room(self, one: str, other: str) -> bool: ...

    async def rooms_of(self, user: str) -> list[str]: ...

    async def neighbours(self, user: str, readable: Callable[[str | None], bool]) -> list[str]:
        """The users that share a room with `user` whose own policy is `readable`."""

    async def summaries(self, user: str, cursor: str | None = None) -> tuple[list[RoomSummary], str | None]:
        """A page of the user's rooms, latest activity first, and the cursor of the next page."""

    async def read_states(self, user: str, names: Sequence[str]) -> dict[str, ReadState]:
        """By room; rooms that do not exist are left out."""


class RoomSettingsStore(Protocol):
    async def find(self, room: str) -> RoomSettings | None:
        """None where the room does not exist."""

    async def change(self, room: str, changes: Mapping[str, Any], by: str) -> tuple[RoomSettings, list[str]]:
        """The new settings and the names of the fields that changed. Creates the room if needed."""


class MembershipStore(Protocol):
    async def add(self, room: str, added: Sequence[Member], by: str) -> list[str]:
        """Returns the ids of the new members. Creates the room if needed."""

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """Returns the ids of those that were members."""

    async def rename(self, room: str, member: Member) -> bool:
        """Update the name of a member; False where the user is no member."""


class ReadCursorStore(Protocol):
    async def mark_read(self, room: str, user: str, seq: int) -> tuple[int, bool]:
        """The cursor, which never moves backwards or past the last message, and whether it moved."""


class MessageSearch(Protocol):
    async def find(
        self,
        user: str,
        query: str,
        *,
        room: str | None,
        cursor: str | None,
        limit: int,
        readable: Callable[[str | None], bool],
    ) -> tuple[list[Message], str | None]:
        """A page of messages with all words of `query` in the rooms of `user`, newest first, and the next cursor.

        Only in rooms whose own policy is `readable`.
        """


class MentionNotifier(Protocol):
    async def notify(self, drafts: list[NotificationDraft]) -> object:
        """Save and push notifications; one whose key the inbox already has is not pushed again."""

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        """Announce deleted notifications, as (user, notification id) pairs."""


class Presence(Protocol):
    async def connected(self, user: str, sid: str) -> None: ...

    async def disconnected(self, user: str, sid: str) -> None: ...

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        """The subset that is online; `partial` where only this server could be asked."""

    def subscribe(self, callback: Callable[[str, bool], Awaitable[None]]) -> None:
        """Call `callback(user, online)` for each change, on one instance of the cluster."""
