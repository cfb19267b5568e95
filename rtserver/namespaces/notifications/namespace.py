"""Events of /notifications. A change made by one device is emitted to the user's other devices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from msgspec import to_builtins

from rtserver.errors import EventError, Forbidden, Refused
from rtserver.identity import user_room
from rtserver.namespaces.delivery.inbox_delivery import InboxDelivery
from rtserver.namespaces.delivery.reconciler import CATCH_UP
from rtserver.namespaces.identity import identity_of
from rtserver.namespaces.notifications import payloads
from rtserver.namespaces.notifications.interfaces import NotificationStore, PreferenceStore, ReceiptStore
from rtserver.namespaces.notifications.redelivery import Redelivery
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace, event, server_event
from rtserver.store.notifications.records import Unread
from rtserver.tasks import Tasks
from rtserver.telemetry.trouble_log import TroubleLog

PATH = "/notifications"
MAX_DEVICE = 64

Ack = dict[str, Any]
Push = tuple[str, Ack]
"""A user, and the payload of `notification`."""

log = structlog.get_logger("rtserver.notifications")


class Notifications(Namespace, path=PATH):
    """`receipt_timeout`: seconds to wait for the ack of a device before a push is repeated."""

    auth = "required"

    def __init__(
        self,
        store: NotificationStore,
        preferences: PreferenceStore,
        receipts: ReceiptStore,
        *,
        receipt_timeout: float = 10.0,
    ) -> None:
        super().__init__()
        self._store = store
        self._preferences = preferences
        self._receipts = receipts
        self._receipt_timeout = receipt_timeout
        self._redeliveries: dict[str, Redelivery] = {}
        self.delivery = InboxDelivery(self._deliver)
        self._tasks = Tasks()
        self._trouble = TroubleLog(log, "unread_not_told", "unread_told")

    async def on_start(self) -> None:
        """Begin to note what is pushed here."""
        self.delivery.open(self.server.room_table(PATH))
        self.server.adapter.screen(PATH, self.delivery.accepts)

    async def on_connect(self, client: Client) -> None:
        """Reject an invalid device name."""
        device_of(client)

    async def on_connected(self, client: Client) -> None:
        """Emit `unread`. Counted after the client has joined its user room, so that no push is missed in between."""
        user = identity_of(client).user
        try:
            await client.emit("unread", to_builtins(await self._store.open_inbox(user)))
        except EventError as error:
            self._trouble.failed(error.message, user=user)
        else:
            self._trouble.worked()

    async def on_disconnect(self, client: Client, reason: str) -> None:
        """Stop watching the acks of the device."""
        redelivery = self._redeliveries.pop(client.id, None)
        if redelivery is not None:
            redelivery.close()

    @event("list")
    async def list(self, client: Client, payload: payloads.ListPayload = payloads.NEWEST) -> Ack:
        """`{notifications, more}`: a page, newest first."""
        notifications, more = await self._store.list(
            identity_of(client).user,
            before=payload.before,
            limit=payload.limit,
            unread=payload.unread,
            type=payload.type,
        )
        return {"ok": True, "notifications": to_builtins(notifications), "more": more}

    @event("unread")
    async def unread(self, client: Client, payload: payloads.Nothing = payloads.NOTHING) -> Ack:
        """`{count, unseen, types}`."""
        return {"ok": True, **to_builtins(await self._store.counts(identity_of(client).user))}

    @event("read")
    async def read(self, client: Client, payload: payloads.MarkPayload) -> Ack:
        """`{unread, unseen}`: mark notifications as read."""
        changed, left = await self._store.mark_read(identity_of(client).user, payload.ids, payload.up_to)
        return await self._changed(client, "read", payload.which(changed) if changed else None, left)

    @event("seen")
    async def seen(self, client: Client, payload: payloads.MarkPayload) -> Ack:
        """`{unread, unseen}`: mark notifications as seen."""
        changed, left = await self._store.mark_seen(identity_of(client).user, payload.ids, payload.up_to)
        return await self._changed(client, "seen", payload.which(changed) if changed else None, left)

    @event("delete")
    async def delete(self, client: Client, payload: payloads.IdsPayload) -> Ack:
        """`{unread, unseen}`: delete notifications."""
        deleted, left = await self._store.delete(identity_of(client).user, payload.ids)
        return await self._changed(client, "deleted", {"ids": payload.ids} if deleted else None, left)

    @event("delivered")
    async def delivered(self, client: Client, payload: payloads.IdsPayload) -> Ack:
        """Receipts of notifications that the device got without a push, as by `list`."""
        device = device_of(client)
        if device is None:
            raise Forbidden("Connect with a `device` name first")
        await self._receipts.record(identity_of(client).user, device, dict.fromkeys(payload.ids))
        return {"ok": True}

    @event("preferences")
    async def preferences(self, client: Client, payload: payloads.Nothing = payloads.NOTHING) -> Ack:
        """`{preferences}`."""
        return {"ok": True, "preferences": to_builtins(await self._preferences.get(identity_of(client).user))}

    @event("setPreferences")
    async def set_preferences(self, client: Client, payload: payloads.PreferencesPayload) -> Ack:
        """`{preferences}`: change preferences; returns the new ones."""
        saved = to_builtins(await self._preferences.change(identity_of(client).user, payload.applied_to))
        await self._emit_to_other_devices(client, "preferences", saved)
        return {"ok": True, "preferences": saved}

    # Pushes

    async def push(self, pushes: Sequence[Push]) -> None:
        """Push to all devices of these users, on every server."""
        self.push_here(pushes)
        await self.server_side_emit("push", pushes)

    @server_event("push")
    def push_here(self, pushes: Sequence[Push]) -> None:
        """Push to the devices on this server. Each server watches the acks of its own devices."""
        for user, note in pushes:
            self.delivery.push(user, note)

    async def repeat(self, pushes: Sequence[Push]) -> None:
        """Push to those devices of these users, on every server, that have not got it."""
        self.repeat_here(pushes)
        await self.server_side_emit("repeat", pushes)

    @server_event("repeat")
    def repeat_here(self, pushes: Sequence[Push]) -> None:
        """The same for the devices on this server."""
        for user, note in pushes:
            self.delivery.push_repeated(user, note)

    @server_event(CATCH_UP)
    def on_catch_up(self, *args: Any) -> None:
        """Another server has lost pushes to this one."""
        self.delivery.asked()

    async def ask_peers(self) -> None:
        """Ask the other servers to catch up."""
        await self.server_side_emit(CATCH_UP)

    def _deliver(self, client: Client, note: Ack) -> None:
        device = device_of(client)
        if device is None:
            client.send_event(["notification", note])
        else:
            self._redelivery_of(client, device).push(note)

    @server_event("here")
    def connected_here(self, users: Sequence[str]) -> Sequence[str]:
        """Those of `users` that have a device on this server."""
        rooms = self.server.room_table(PATH)
        return [user for user in users if rooms.has(user_room(user))]

    async def connected_users(self, users: Sequence[str], timeout: float) -> set[str]:
        """Those of `users` that have a device on any server that answers within `timeout` seconds."""
        found = set(self.connected_here(users))
        try:
            answers = await self.server_side_emit_with_ack("here", users, timeout=timeout)
        except AckTimeout as error:
            answers = error.responses
        for answer in answers:
            found.update(answer if isinstance(answer, list) else ())
        return found

    def _redelivery_of(self, client: Client, device: str) -> Redelivery:
        redelivery = self._redeliveries.get(client.id)
        if redelivery is None:
            user = identity_of(client).user
            redelivery = self._redeliveries[client.id] = Redelivery(
                client,
                record=lambda id_, seq: self._receipts.record(user, device, {id_: seq}),
                reload=self._store.still_unread,
                pause=self._receipt_timeout,
                tasks=self._tasks,
            )
        return redelivery

    async def _changed(self, client: Client, event: str, which: Ack | None, left: Unread) -> Ack:
        """The ack of a change. `which`: the payload for the other devices, None where nothing changed."""
        counts = {"unread": left.count, "unseen": left.unseen}
        if which is not None:
            await self._emit_to_other_devices(client, event, {**which, **counts})
        return {"ok": True, **counts}

    async def _emit_to_other_devices(self, client: Client, event: str, payload: Ack) -> None:
        """To the user's other devices; this one gets the ack."""
        self.delivery.touch((user_room(identity_of(client).user),))
        await self.to(user_room(identity_of(client).user)).except_(client.id).emit(event, payload)


def device_of(client: Client) -> str | None:
    """The device name of the client, None where it gave none; raises `Refused` for an invalid name."""
    device = (client.handshake.auth or {}).get("device")
    if device is None:
        return None
    if not isinstance(device, str) or not 0 < len(device) <= MAX_DEVICE or not device.isprintable():
        raise Refused("Invalid device", code="invalid_payload")
    return device
