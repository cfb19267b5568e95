"""Notifies users: saved first, pushed to every device second. Must not know by which way a backend asked."""

from __future__ import annotations

from msgspec import to_builtins

from rtserver.identity import user_room
from rtserver.namespaces.notifications.ports import NotificationStore
from rtserver.sio.namespace import Namespace
from rtserver.store.records import Notification, NotificationDraft


class Notifier:
    """`namespace` is the one that the users' clients are connected to: /notifications."""

    def __init__(self, store: NotificationStore, namespace: Namespace) -> None:
        self._store = store
        self._namespace = namespace

    async def notify(self, drafts: list[NotificationDraft]) -> list[tuple[Notification, bool]]:
        """One notification per draft, in that order, each with whether it is new.

        False is the earlier one of the same user and key, which is not pushed again.
        Raises `Unavailable` when they could not be saved; none was pushed then.
        """
        saved = await self._store.add(drafts)
        for draft, (notification, new) in zip(drafts, saved, strict=True):
            if new:
                devices = self._namespace.to(user_room(draft.user))
                await devices.emit("notification", to_builtins(notification))
        return saved
