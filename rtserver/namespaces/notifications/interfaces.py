"""What /notifications needs from the store. Its methods raise `errors.Unavailable` while it cannot answer."""

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
        """Commit them, one answer per draft; not new where the user's inbox knew the key already."""

    async def save_batches(self, batches: builtins.list[NotificationBatch]) -> builtins.list[Outcome]:
        """Commit them in one transaction, each with its key. One outcome per batch, in order."""

    async def list(
        self, user: str, *, before: int | None, limit: int, unread: bool = False, type: str | None = None
    ) -> tuple[builtins.list[Notification], bool]:
        """Newest first, and whether there are older ones."""

    async def still_unread(self, id_: str) -> Notification | None: ...

    async def find(self, id_: str) -> tuple[str, Notification, tuple[Receipt, ...]]:
        """Whose it is, what it says now, and which devices have it; raises `NotFound`."""

    async def mark_read(
        self, user: str, ids: builtins.list[str] | None, up_to: int | None = None
    ) -> tuple[builtins.list[str], Unread]:
        """Which of `ids` (None = of all, or of those up to that `seq`) were unread until now, and what is left."""

    async def mark_seen(
        self, user: str, ids: builtins.list[str] | None, up_to: int | None = None
    ) -> tuple[builtins.list[str], Unread]:
        """Which of `ids` (None = of all, or of those up to that `seq`) were unseen until now, and what is left."""

    async def delete(self, user: str, ids: builtins.list[str]) -> tuple[int, Unread]:
        """How many were deleted, and what is still unread."""

    async def counts(self, user: str) -> Unread: ...

    async def open_inbox(self, user: str) -> Unread:
        """The counts of a user who came."""


class PreferenceStore(Protocol):
    async def get(self, user: str) -> Preferences: ...

    async def change(self, user: str, change: Callable[[Preferences], Preferences]) -> Preferences: ...


class ReceiptStore(Protocol):
    async def record(self, user: str, device: str, seqs: dict[str, int | None]) -> None:
        """That device has these notifications, by id, in the state of that `seq`; None: in whichever they are."""
