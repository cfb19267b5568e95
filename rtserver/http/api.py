"""`POST /api/emit` and `POST /api/notifications`: how a backend reaches clients over HTTP.

Owns the answers; must not know Socket.IO, the database or Redis: `Emitting` and `Notifying`
do the work. A 2xx for a notification means that it is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from rtserver.doors.requests import EmitRequest, NotifyRequest
from rtserver.errors import Conflict, InvalidPayload, NotFound
from rtserver.http.answers import Answer
from rtserver.http.operations import operation
from rtserver.store.notification_records import Delivered, NotificationDraft


class Emitting(Protocol):
    """Broadcasts, cluster-wide. An empty `rooms` addresses everybody in the namespace."""

    async def emit(
        self,
        namespace: str,
        event: str,
        args: Sequence[Any],
        rooms: Sequence[str],
        except_: Sequence[str],
        volatile: bool,
    ) -> None:
        """Raises `NotFound` for a namespace that the server does not have."""
        ...


class Notifying(Protocol):
    """Saves notifications, then pushes the new ones to their users' devices."""

    async def notify(self, drafts: list[NotificationDraft]) -> list[Delivered]:
        """Each with whether it is new; False is the earlier one of the same user and key."""
        ...


class NotifyAnswer(Answer, kw_only=True):
    """One entry a user: the notification, `user`, and `new`, which is false for the earlier one of the same key."""

    notifications: list[dict[str, Any]]


class EmitApi:
    def __init__(self, emitting: Emitting) -> None:
        self._emitting = emitting

    @operation("POST", "/api/emit", summary="Emit an event to connected clients", tag="live", errors=[NotFound])
    async def emit(self, body: EmitRequest) -> Answer:
        """Without `rooms` and `users` everybody in the namespace is addressed. Sent once to whoever is connected."""
        await self._emitting.emit(
            body.namespace, body.event, body.arguments, body.addressed, body.except_ or (), body.volatile
        )
        return Answer()


class NotifyApi:
    def __init__(self, notifying: Notifying) -> None:
        self._notifying = notifying

    @operation("POST", "/api/notifications", summary="Notify users", tag="notifications", errors=[Conflict])
    async def notify(self, body: NotifyRequest) -> NotifyAnswer:
        """2xx means saved: who is offline finds it later."""
        users = body.named_users
        if users is None or body.at is not None:
            raise InvalidPayload("Give either `user` or `users`")
        drafts = [NotificationDraft(user, body.type, body.message, body.data, body.key, body.group_key) for user in users]
        saved = await self._notifying.notify(drafts)
        return NotifyAnswer(
            notifications=[
                {**msgspec.to_builtins(notification), "user": draft.user, "new": new}
                for draft, (notification, new, *_) in zip(drafts, saved, strict=True)
            ]
        )
