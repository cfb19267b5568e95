"""Interfaces of delivery: what catching up reads from the store. All methods raise `errors.Unavailable`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rtserver.store.messages.records import Message
from rtserver.store.notifications.recent import RecentNotification
from rtserver.store.notifications.records import Unread
from rtserver.store.rooms.room_heads import RoomHead


class RoomHeadStore(Protocol):
    async def of(self, names: Sequence[str]) -> dict[str, RoomHead]:
        """The last numbers of rooms; rooms that do not exist are left out."""

    async def active_direct(self, users: Sequence[str], since: int) -> dict[str, RoomHead]:
        """The direct rooms of users that got a message since then (milliseconds)."""


class MessageReader(Protocol):
    async def history(
        self, room: str, *, before: int | None, after: int | None, limit: int
    ) -> tuple[list[Message], bool]:
        """A page ascending by `seq`, and whether there are more in the requested direction."""

    async def changed(self, room: str, *, rev: int, upto: int, limit: int) -> tuple[list[Message], bool]:
        """Messages up to `upto` that changed after `rev`, by rising `rev`, and whether there are more."""


class RecentNotificationStore(Protocol):
    async def since(self, users: Sequence[str], since: int) -> list[RecentNotification]:
        """Unread notifications that were saved since then (milliseconds), by rising `seq`."""

    async def counts(self, users: Sequence[str]) -> dict[str, Unread]:
        """The unread counts of each of these users."""
