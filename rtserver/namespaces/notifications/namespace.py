"""The events of /notifications. Every change that one device makes is told to the user's other devices."""

from __future__ import annotations

from typing import Any

import structlog
from msgspec import to_builtins

from rtserver.errors import EventError
from rtserver.identity import user_room
from rtserver.namespaces.identified import identity_of
from rtserver.namespaces.notifications import payloads
from rtserver.namespaces.notifications.ports import NotificationStore
from rtserver.sio.client import Client
from rtserver.sio.namespace import Namespace, event

Ack = dict[str, Any]
log = structlog.get_logger("rtserver.notifications")


class Notifications(Namespace, path="/notifications"):
    auth = "required"

    def __init__(self, store: NotificationStore) -> None:
        super().__init__()
        self._store = store

    async def on_connected(self, client: Client) -> None:
        """Counted once the client is reached by pushes, so that none is missed between the two."""
        user = identity_of(client).user
        try:
            await client.emit("unread", {"count": await self._store.unread(user)})
        except EventError as error:
            log.warning("unread_not_told", user=user, error=error.message)

    @event("list")
    async def list(self, client: Client, payload: payloads.ListPayload = payloads.NEWEST) -> Ack:
        notifications, more = await self._store.list(
            identity_of(client).user, before=payload.before, limit=payload.limit, unread=payload.unread
        )
        return {"ok": True, "notifications": to_builtins(notifications), "more": more}

    @event("read")
    async def read(self, client: Client, payload: payloads.ReadPayload) -> Ack:
        changed, unread = await self._store.mark_read(identity_of(client).user, payload.ids)
        if changed:
            which = {"all": True} if payload.all else {"ids": changed}
            await self._tell_others(client, "read", {**which, "unread": unread})
        return {"ok": True, "unread": unread}

    @event("delete")
    async def delete(self, client: Client, payload: payloads.DeletePayload) -> Ack:
        deleted, unread = await self._store.delete(identity_of(client).user, payload.ids)
        if deleted:
            await self._tell_others(client, "deleted", {"ids": payload.ids, "unread": unread})
        return {"ok": True, "unread": unread}

    async def _tell_others(self, client: Client, event: str, payload: Ack) -> None:
        """The user's other devices; this one has its ack."""
        await self.to(user_room(identity_of(client).user)).except_(client.id).emit(event, payload)
