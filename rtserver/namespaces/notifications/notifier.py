"""Notifier: saves notifications, then pushes them to every device. Knows nothing of where a request came from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from rtserver.clock import iso
from rtserver.identity import user_room
from rtserver.namespaces.delivery.reconciler import batches, recent
from rtserver.namespaces.notifications.interfaces import NotificationStore
from rtserver.namespaces.notifications.namespace import Notifications, Push
from rtserver.namespaces.notifications.redelivery import wire_of
from rtserver.store.notifications.batches import LARGEST, NotificationBatch, Outcome
from rtserver.store.notifications.records import Delivered, NotificationDraft, Unread

PUSH_BATCH = 50
"""Notifications in one message between servers, of at most 27 kB each."""


class Notifier:
    """`namespace` is the one that the users' clients are connected to: /notifications."""

    def __init__(self, store: NotificationStore, namespace: Notifications) -> None:
        self._store = store
        self._namespace = namespace

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """Save and push; returns one notification per draft, in order.

        A result that is not new is the earlier notification of the same user and key. It is pushed only to devices that
        have not got it: the instance that saved it may have died before the push. Raises `Unavailable` when saving
        failed, `Conflict` when that earlier one has another body. More than `LARGEST` drafts are saved in several
        batches. After an error nothing of its batch was pushed, but earlier batches were: repeat the call, with keys.
        """
        saved: list[Delivered] = []
        for batch in batches(drafts, LARGEST):
            delivered = await self._store.add(list(batch))
            await self._push(zip(batch, delivered, strict=True))
            saved += delivered
        return saved

    async def notify_batches(self, orders: list[NotificationBatch]) -> list[Outcome]:
        """Save batches in one transaction and push them; returns one outcome per batch, in order.

        An error concerns all of them: nothing was saved.
        """
        outcomes = await self._store.save_batches(orders)
        saved = (
            (one.drafts, delivered)
            for one, delivered in zip(orders, outcomes, strict=True)
            if isinstance(delivered, list)
        )
        await self._push(chain.from_iterable(zip(drafts, delivered, strict=True) for drafts, delivered in saved))
        return outcomes

    async def withdraw(self, id_: str) -> None:
        """Delete a notification and emit `deleted` to the user's devices; raises `NotFound`."""
        user, _, _ = await self._store.find(id_)
        deleted, left = await self._store.delete(user, [id_])
        if deleted:
            await self._emit_deleted(user, [id_], left)

    async def announce_deleted(self, removed: Sequence[tuple[str, str]]) -> None:
        """Emit `deleted` once to each user of notifications that are deleted; (user, notification id) pairs."""
        ids: dict[str, list[str]] = {}
        for user, id_ in removed:
            ids.setdefault(user, []).append(id_)
        for user, gone in ids.items():
            await self._emit_deleted(user, gone, await self._store.counts(user))

    async def _emit_deleted(self, user: str, ids: list[str], left: Unread) -> None:
        payload = {"ids": ids, "unread": left.count, "unseen": left.unseen}
        await self._namespace.to(user_room(user)).emit("deleted", payload)

    async def _push(self, saved: Iterable[tuple[NotificationDraft, Delivered]]) -> None:
        pushes: list[Push] = []
        repeats: list[Push] = []
        earliest = iso(recent())
        for draft, one in saved:
            if one.wanted:
                pushes.append((draft.user, wire_of(one.notification, one.silent)))
            elif one.repeated and one.notification.created_at >= earliest:
                repeats.append((draft.user, wire_of(one.notification, one.silent)))
        for some in batches(pushes, PUSH_BATCH):
            await self._namespace.push(some)
        for some in batches(repeats, PUSH_BATCH):
            await self._namespace.repeat(some)
