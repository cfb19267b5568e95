"""Interfaces of /notifications: what it needs from the store. All methods raise `errors.Unavailable`."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Protocol

from rtserver.store.notifications.batches import NotificationBatch, Outcome
from rtserver.store.notifications.records import (
    Delivered,
    Notification,
    NotificationDraft,
    Preferences,
    Receipt,
    Unread,
)


class NotificationStore(Protocol):
    async def add(self, drafts: builtins.list[NotificationDraft]) -> builtins.list[Delivered]:
        """Commit notifications, one result per draft; not new where the inbox already has the key."""

    async def save_batches(self, batches: builtins.list[NotificationBatch]) -> builtins.list[Outcome]:
        """Commit them in one transaction, each with its key. One outcome per batch, in order."""

    async def list(
        self, user: str, *, before: int | None, limit: int, unread: bool = False, type: str | None = None
    ) -> tuple[builtins.list[Notification], bool]:
        """A page, newest first, and whether there are older ones."""

    async def still_unread(self, id_: str) -> Notification | None: ...

    async def find(self, id_: str) -> tuple[str, Notification, tuple[Receipt, ...]]:
        """The user, the notification as it is now, and its receipts; raises `NotFound`."""

    async def mark_read(
        self, user: str, ids: builtins.list[str] | None, up_to: int | None = None
    ) -> tuple[builtins.list[str], Unread]:
        """Mark `ids`, or all up to `up_to`, or all as read. Returns the ids that were unread, and what is left."""

    async def mark_seen(
        self, user: str, ids: builtins.list[str] | None, up_to: int | None = None
    ) -> tuple[builtins.list[str], Unread]:
        """Mark as seen, as `mark_read` does. Returns the ids that were unseen, and what is still unread."""

    async def delete(self, user: str, ids: builtins.list[str]) -> tuple[int, Unread]:
        """Returns how many were deleted, and what is still unread."""

    async def counts(self, user: str) -> Unread: ...

    async def open_inbox(self, user: str) -> Unread:
        """The unread counts of a user who connects; creates the inbox if needed."""


class PreferenceStore(Protocol):
    async def get(self, user: str) -> Preferences: ...

    async def change(self, user: str, change: Callable[[Preferences], Preferences]) -> Preferences: ...


class ReceiptStore(Protocol):
    async def record(self, user: str, device: str, seqs: dict[str, int | None]) -> None:
        """Save that `device` has these notifications: id → the `seq` it received, None for the current one."""
