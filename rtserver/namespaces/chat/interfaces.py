"""Interfaces of /chat: what it needs of the store and of the cluster. `rtserver.app.chat` passes the implementations.

Every method raises `errors.Unavailable` when the database or Redis cannot answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol

from rtserver.cluster.partial_results import PartialSet
from rtserver.store.messages.changes import Change, Changed
from rtserver.store.messages.records import Draft, Member, Message, NotificationDraft, ReadState, RoomSummary
from rtserver.store.rooms.room_settings import RoomSettings


class MessageStore(Protocol):
    async def append(self, draft: Draft) -> tuple[Message, bool]:
        """Commit it; the flag is False when the author's nonce was known, and the message is that first one.

        Appends to one room resume their callers in the order of `seq`.
        """

    async def change(self, change: Change) -> Changed:
        """Edit, delete or react; resumes its callers in the order of `rev`.

        Raises `NotFound`, `Forbidden`, or `Conflict` for a deleted message or too many different reactions.
        """

    async def history(
        self, room: str, *, before: int | None, after: int | None, limit: int
    ) -> tuple[list[Message], bool]:
        """Ascending by `seq`, and whether there are more in the direction asked for."""

    async def changed(self, room: str, *, rev: int, upto: int, limit: int) -> tuple[list[Message], bool]:
        """Messages up to `upto` that changed after `rev`, by rising `rev`, and whether there are more."""

    async def has(self, room: str, id: str) -> bool:
        """Whether `room` has a message of that id."""

    async def withdraw_mentions(self, message: Message, users: Sequence[str]) -> Sequence[tuple[str, str]]:
        """Remove the notifications of `users` that quote `message` if it has been deleted; (user, id) each."""


class RoomStore(Protocol):
    async def join(self, room: str, member: Member) -> bool:
        """Whether the member is new there."""

    async def leave(self, room: str, user: str) -> bool: ...

    async def members(self, room: str, *, after: str = "", limit: int = 1000) -> list[Member]:
        """By id, those after `after`."""

    async def count_members(self, room: str) -> int: ...

    async def members_among(self, room: str, users: Sequence[str]) -> set[str]:
        """Those of `users` that are members."""

    async def is_member(self, room: str, user: str) -> bool: ...

    async def rooms_of(self, user: str) -> list[str]: ...

    async def neighbours(self, user: str) -> list[str]:
        """Who shares a room with `user`: one question, whatever the number of rooms."""

    async def summaries(self, user: str) -> list[RoomSummary]: ...

    async def read_states(self, user: str, names: Sequence[str]) -> dict[str, ReadState]:
        """By room; those that nobody has made yet are left out."""


class RoomSettingsStore(Protocol):
    async def find(self, room: str) -> RoomSettings | None:
        """None where there is no such room."""

    async def change(self, room: str, changes: Mapping[str, Any], by: str) -> tuple[RoomSettings, list[str]]:
        """The settings now, and the names of what is not as it was; the room is made where there is none."""


class MembershipStore(Protocol):
    async def add(self, room: str, added: Sequence[Member], by: str) -> list[str]:
        """The ids of the new ones; the room is made where there is none."""

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """The ids of those that were members."""

    async def rename(self, room: str, member: Member) -> bool:
        """Keep the name of a member current; whether it is one."""


class ReceiptStore(Protocol):
    async def mark_read(self, room: str, user: str, seq: int) -> int:
        """The cursor afterwards: never backwards, never past the last message."""


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
        """A page of what has all words of `query` in the rooms of `user`, newest first, and the next cursor.

        Only in rooms whose own policy is `readable`.
        """


class MentionNotifier(Protocol):
    async def notify(self, drafts: list[NotificationDraft]) -> object:
        """Save and push them; one whose key its user's inbox knows already is not pushed again."""

    async def announce_deleted(self, gone: Sequence[tuple[str, str]]) -> None:
        """Tell of notifications that are deleted: (user, id) each."""


class Presence(Protocol):
    async def connected(self, user: str, sid: str) -> None: ...

    async def disconnected(self, user: str, sid: str) -> None: ...

    async def online(self, users: Sequence[str]) -> PartialSet[str]:
        """Those that are online; `partial` where only this server could be asked."""

    def subscribe(self, callback: Callable[[str, bool], Awaitable[None]]) -> None:
        """`callback(user, online)` runs on one instance of the cluster for each change."""
