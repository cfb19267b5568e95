"""Inbox delivery: which notifications this instance has pushed, and to which devices it is still to push.

1. A push that has been made here is not made again: a late one may come behind the catch-up.
2. A notification whose key is known already may be one that no device was told of. It is pushed where it is missing, if
   it is recent: an older one is in the list that a device reads when it connects.
3. A device that connected after a notification was saved has read it by itself.
4. Counts are emitted only if no push or change came between reading and emitting them: such a device would be behind.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import to_builtins

from rtserver.clock import from_iso
from rtserver.identity import user_room
from rtserver.namespaces.delivery.interfaces import RecentNotificationStore
from rtserver.namespaces.delivery.recent_pushes import RecentPushes
from rtserver.namespaces.delivery.reconciler import SKEW, batches, recent
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.client.client import Client

USERS = 200
"""Users in one query."""
ATTEMPTS = 3
"""How often counts are read again for a user whose inbox changes meanwhile."""

Wire = dict[str, Any]
Deliver = Callable[[Client, Wire], None]


class InboxDelivery:
    """`deliver(client, note)` sends one push to one device."""

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver
        self._rooms: Rooms[Any] = Rooms("")
        self._recent = RecentPushes()
        self._touched: set[str] | None = None
        self.asked: Callable[[], None] = lambda: None
        """Called when another instance has lost pushes: everything is to be compared."""

    def open(self, rooms: Rooms[Any]) -> None:
        """Begin to watch the devices of the namespace with these rooms."""
        self._rooms = rooms
        rooms.watch(self._room_changed)

    def _room_changed(self, room: str) -> None:
        if not self._rooms.has(room):
            self._recent.forget(room.removeprefix(user_room("")))

    def push(self, user: str, note: Wire) -> None:
        """Push to the user's devices on this instance, unless that was done."""
        clients = (*self._rooms.members(user_room(user)),)
        if clients and self._note(user, note):
            for client in clients:
                self._deliver(client, note)

    def push_missing(self, user: str, note: Wire, since: int) -> None:
        """Push a notification that was saved since then (milliseconds), where it is missing."""
        created = _milliseconds(note.get("createdAt"))
        if created < since:
            return
        clients = [one for one in self._rooms.members(user_room(user)) if one.handshake.issued <= created + SKEW]
        if clients and self._note(user, note):
            for client in clients:
                self._deliver(client, note)

    def push_repeated(self, user: str, note: Wire) -> None:
        """Push a notification whose key was repeated, if it is recent and missing here."""
        self.push_missing(user, note, recent())

    def _note(self, user: str, note: Wire) -> bool:
        self.touch((user_room(user),))
        seq = note.get("seq")
        return type(seq) is not int or self._recent.note(user, seq)

    def touch(self, rooms: Collection[str]) -> None:
        """Something is emitted to these rooms of users."""
        if self._touched is not None:
            self._touched.update(rooms)

    def accepts(self, args: list[Any], rooms: Sequence[str]) -> bool:
        """Note a broadcast of another server; each is delivered."""
        self.touch(rooms)
        return True

    # Catching up.

    async def run(self, store: RecentNotificationStore, since: int) -> None:
        """Push what is missing, and emit `unread` to every device: its `read` may be lost. Raises `Unavailable`."""
        prefix = user_room("")
        users = [name.removeprefix(prefix) for name in self._rooms.names() if name.startswith(prefix)]
        for some in batches(users, USERS):
            for user, notification, silent in await store.since(some, since):
                wire = to_builtins(notification)
                self.push_missing(user, {**wire, "silent": True} if silent else wire, since)
            await self._emit_counts(store, some)

    async def _emit_counts(self, store: RecentNotificationStore, users: Sequence[str]) -> None:
        try:
            for _ in range(ATTEMPTS):
                self._touched = set()
                for user, counts in (await store.counts(users)).items():
                    room = user_room(user)
                    if room not in self._touched:
                        for client in (*self._rooms.members(room),):
                            client.send_event(["unread", to_builtins(counts)])
                users = [user for user in users if user_room(user) in self._touched]
                if not users:
                    return
        finally:
            self._touched = None


def _milliseconds(time: Any) -> int:
    """Read a time in ISO 8601; 0 for anything else, since other servers send it."""
    try:
        return from_iso(time)
    except (TypeError, ValueError):
        return 0
