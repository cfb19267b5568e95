"""`POST /api/emit` and `POST /api/notifications`: how a backend reaches clients over HTTP.

Owns the answers; must not know Socket.IO, the database or Redis: `Emitting` and `Notifying`
do the work. A 2xx for a notification means that it is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
from aiohttp import web

from rtserver.doors.requests import EmitRequest, NotifyRequest
from rtserver.errors import InvalidPayload
from rtserver.http.bodies import read_json
from rtserver.http.credentials import Credentials
from rtserver.http.errors import json_response
from rtserver.store.records import Notification, NotificationDraft


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

    async def notify(self, drafts: list[NotificationDraft]) -> list[tuple[Notification, bool]]:
        """Each with whether it is new; False is the earlier one of the same user and key."""
        ...


class Api:
    """The endpoints under `/api/`."""

    def __init__(self, *, credentials: Credentials, emitting: Emitting, notifying: Notifying) -> None:
        self._credentials = credentials
        self._emitting = emitting
        self._notifying = notifying

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/api/emit", self._emit), web.post("/api/notifications", self._notify)]

    async def _emit(self, request: web.Request) -> web.Response:
        await self._credentials.check(request)
        asked = await read_json(request, EmitRequest)
        await self._emitting.emit(
            asked.namespace, asked.event, asked.arguments, asked.addressed, asked.except_ or (), asked.volatile
        )
        return json_response({"ok": True})

    async def _notify(self, request: web.Request) -> web.Response:
        await self._credentials.check(request)
        asked = await read_json(request, NotifyRequest)
        users = asked.named_users
        if users is None or asked.at is not None:
            raise InvalidPayload("Give either `user` or `users`")
        drafts = [NotificationDraft(user, asked.type, asked.message, asked.data, asked.key) for user in users]
        saved = await self._notifying.notify(drafts)
        told = [
            {**msgspec.to_builtins(notification), "user": draft.user, "new": new}
            for draft, (notification, new) in zip(drafts, saved, strict=True)
        ]
        return json_response({"ok": True, "notifications": told})
