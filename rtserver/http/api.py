"""`POST /api/emit` and `POST /api/notifications`: how a backend reaches clients over HTTP.

Owns the requests' shapes and the answers; must not know Socket.IO, the database or Redis: `Emitting` and `Notifying`
do the work. A 2xx for a notification means that it is saved.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Protocol

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from rtserver.errors import TooLarge
from rtserver.http.bodies import read_json
from rtserver.http.credentials import Credentials
from rtserver.http.errors import json_response
from rtserver.identity import user_room
from rtserver.protocol import json
from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.store.records import Notification, NotificationDraft

MAX_DATA_BYTES = 16_384

# No NUL: Postgres has no place for it.
Name = Annotated[str, Meta(max_length=200, pattern=r"\A[^\x00]+\Z")]
Text = Annotated[str, Meta(max_length=10_000, pattern=r"\A[^\x00]+\Z")]
Names = Annotated[list[Name], Meta(min_length=1, max_length=1000)]


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


class EmitRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`rooms` and `users` add up; without either everybody is addressed. `data` is short for one argument."""

    namespace: Annotated[str, Meta(pattern="^/", max_length=200)]
    event: Name
    rooms: Names | None = None
    users: Names | None = None
    except_: Names | None = msgspec.field(default=None, name="except")
    args: list[Any] | UnsetType = UNSET
    data: Any = UNSET
    volatile: bool = False

    def __post_init__(self) -> None:
        if self.event in RESERVED_EVENTS:
            raise ValueError(f"The event name `{self.event}` is reserved")
        if self.args is not UNSET and self.data is not UNSET:
            raise ValueError("Give `args` or `data`, not both")

    @property
    def arguments(self) -> list[Any]:
        if self.args is not UNSET:
            return self.args
        return [] if self.data is UNSET else [self.data]

    @property
    def addressed(self) -> list[str]:
        return [*(self.rooms or ()), *map(user_room, self.users or ())]


class NotifyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """One notification for `user`, or the same one for each of `users`; `key` makes a retry harmless."""

    type: Name
    message: Text
    user: Name | None = None
    users: Names | None = None
    data: Any = None
    key: Name | None = None

    def __post_init__(self) -> None:
        if (self.user is None) == (self.users is None):
            raise ValueError("Give either `user` or `users`")

    def drafts(self) -> list[NotificationDraft]:
        """One a user, each user once."""
        users = self.users if self.users is not None else [self.user or ""]
        return [
            NotificationDraft(user=user, type=self.type, message=self.message, data=self.data, key=self.key)
            for user in dict.fromkeys(users)
        ]


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
        if asked.data is not None and len(json.dumps(asked.data)) > MAX_DATA_BYTES:
            raise TooLarge(f"`data` is larger than {MAX_DATA_BYTES} bytes")
        drafts = asked.drafts()
        saved = await self._notifying.notify(drafts)
        told = [
            {**msgspec.to_builtins(notification), "user": draft.user, "new": new}
            for draft, (notification, new) in zip(drafts, saved, strict=True)
        ]
        return json_response({"ok": True, "notifications": told})
