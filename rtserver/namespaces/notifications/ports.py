"""What /notifications needs from the store. Its methods raise `errors.Unavailable` while it cannot answer."""

from __future__ import annotations

import builtins
from typing import Protocol

from rtserver.store.records import Notification, NotificationDraft


class NotificationStore(Protocol):
    async def add(self, drafts: builtins.list[NotificationDraft]) -> builtins.list[tuple[Notification, bool]]:
        """Commit them, one answer per draft; the flag is False when the user's inbox knew the key already."""

    async def list(
        self, user: str, *, before: int | None, limit: int, unread: bool = False
    ) -> tuple[builtins.list[Notification], bool]:
        """Newest first, and whether there are older ones."""

    async def mark_read(self, user: str, ids: builtins.list[str] | None) -> tuple[builtins.list[str], int]:
        """Which of `ids` (None = of all) were unread until now, and how many unread are left."""

    async def delete(self, user: str, ids: builtins.list[str]) -> tuple[int, int]:
        """How many were deleted, and how many unread are left."""

    async def unread(self, user: str) -> int: ...
