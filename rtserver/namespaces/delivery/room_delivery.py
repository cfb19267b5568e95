"""Room delivery: which messages and changes of its rooms this instance has delivered, and to whom it is still to.

1. What leaves for local clients is noted: own broadcasts by `sent`, those of other instances as they come in. A number
   that was delivered already is not delivered again.
2. A room is tracked while it has a client here. Its past is known from the moment when the first client read its state.
3. The repeat of a message that is saved (a known nonce) may be of one that no client was told of: it is delivered here
   where it is missing, and the other instances compare.
4. A save whose outcome is unknown to its caller is looked up soon after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from rtserver.clock import from_iso
from rtserver.errors import EventError
from rtserver.identity import user_room
from rtserver.namespaces.delivery.positions import Positions
from rtserver.namespaces.delivery.reconciler import CATCH_UP, recent
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.namespace.namespace import Namespace

MESSAGE = "message"
CHANGES = frozenset({"messageEdited", "messageDeleted", "reaction"})
REPEATED = "repeated"
"""The event between servers; arguments: a room, and the `seq` and `rev` that it has, 0 for none."""
PAUSE = 1.0
"""Seconds from a hole or a doubt to the question: most holes are filled within milliseconds."""
MAX_DIRECT = 10_000
"""Direct rooms that are tracked. Their names come from other servers."""
MAX_DOUBTS = 10_000

AudienceOf = Callable[[str], tuple[str, ...]]


class RoomDelivery:
    """`audience_of(room)`: the namespace rooms of its clients; raises an `EventError` for a name that is none."""

    def __init__(self, namespace: Namespace, audience_of: AudienceOf) -> None:
        self._namespace = namespace
        self.audience_of = audience_of
        self.messages = Positions(self._check_soon)
        self.changes = Positions(self._check_soon)
        self._rooms: Rooms[Any] = Rooms("")
        self._direct: dict[str, set[str]] = {}
        """The tracked direct rooms of each user room."""
        self._tracked_direct = 0
        self._doubts: set[str] = set()
        self._told_peers: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.check: Callable[[Sequence[str], Sequence[str]], None] = lambda rooms, tell: None
        """Delivers what is missing in these rooms; of some of them the peers are told the last numbers, too."""
        self.asked: Callable[[], None] = lambda: None
        """Called when another instance has lost publishes: everything is to be compared."""

    def open(self, path: str) -> None:
        """Begin to watch the rooms of the namespace `path`; called when it starts."""
        server = self._namespace.server
        self._rooms = server.room_table(path)
        self._rooms.watch(self._room_changed)
        server.adapter.screen(path, self.accepts)

    def close(self) -> None:
        """Ask nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def is_here(self, audience: Sequence[str]) -> bool:
        """Whether a client of the audience is on this instance."""
        for room in audience:  # noqa: SIM110  for every message: `any` takes three times as long
            if self._rooms.has(room):
                return True
        return False

    # Broadcasts.

    def sent(self, event: str, wire: dict[str, Any], audience: Sequence[str]) -> None:
        """A message or change that was saved here is broadcast now."""
        if self.is_here(audience):
            self._note(event, wire["room"], wire, audience)

    def accepts(self, args: list[Any], rooms: Sequence[str]) -> bool:
        """Whether a broadcast of another server is to be delivered: not what was delivered already."""
        event = args[0]
        if event != MESSAGE and event not in CHANGES:
            return True
        wire = args[1] if len(args) > 1 else None
        room = wire.get("room") if isinstance(wire, dict) else None
        if not isinstance(room, str) or not self.is_here(rooms):
            return True
        return self._note(event, room, wire, rooms)

    def _note(self, event: str, room: str, wire: Any, audience: Sequence[str]) -> bool:
        number = wire.get("seq" if event == MESSAGE else "rev")
        if type(number) is not int or not (room in self.messages or self._may_track(room, audience)):
            return True
        if event == MESSAGE:
            return self.messages.note(room, number)
        if room not in self.changes and (track := self.messages.get(room)) is not None and not track.first:
            self.changes.begin(room, 0)
        return self.changes.note(room, number)

    def _may_track(self, room: str, audience: Sequence[str]) -> bool:
        """Whether a room may get a track: its name is the one that is addressed. Notes where direct rooms belong."""
        if len(audience) == 1 and room == audience[0]:
            return True
        try:
            named = self.audience_of(room)
        except EventError:
            return False
        if set(named) != set(audience) or self._tracked_direct >= MAX_DIRECT:
            return False
        if not any(room in self._direct.get(user, ()) for user in named):
            self._tracked_direct += 1
        for user in named:
            self._direct.setdefault(user, set()).add(room)
        return True

    # Where a room begins and ends.

    def entered(self, room: str, seq: int, rev: int) -> None:
        """A client has read the state of a room that it has joined. What is up to these numbers, it has."""
        if len(self._rooms.members(room)) > 1:
            return  # the others have their own past
        self.messages.settle(room, seq)
        if rev:
            self.changes.settle(room, rev)

    def _room_changed(self, room: str) -> None:
        """The first client has entered a room, or the last one has left it."""
        if not self._rooms.has(room):
            self._forget(room)
            for direct in self._direct.pop(room, ()):
                others = [user for user in self.audience_of(direct) if user != room]
                if not self.is_here(others):
                    self._forget(direct)
                    self._tracked_direct -= 1
                    for other in others:
                        self._untrack(other, direct)

    def _untrack(self, user: str, direct: str) -> None:
        """Note that a direct room of a user who is not here is no longer tracked."""
        rooms = self._direct.get(user, set())
        rooms.discard(direct)
        if not rooms:
            self._direct.pop(user, None)

    def _forget(self, room: str) -> None:
        self.messages.forget(room)
        self.changes.forget(room)

    # Doubts.

    async def repeat(self, wire: dict[str, Any], audience: Sequence[str], except_sids: Sequence[str]) -> None:
        """A message that is saved was sent again: deliver it where it is missing. `except_sids` get the ack instead."""
        room, seq = wire["room"], wire["seq"]
        track = self.messages.get(room)
        unknown = track is None or seq < track.first
        missing = from_iso(wire["sentAt"]) > recent() if unknown else self._lacks(self.messages, room, seq)
        if missing and self.is_here(audience):
            self.sent(MESSAGE, wire, audience)
            await self._namespace.local.to(*audience).except_(*except_sids).emit(MESSAGE, wire)
        await self.tell_peers(room, seq, 0)

    async def repeat_change(self, room: str, rev: int) -> None:
        """A change that is saved was made again."""
        self.compare(room, 0, rev)
        await self.tell_peers(room, 0, rev)

    def compare(self, room: Any, seq: Any, rev: Any) -> None:
        """Another instance says that a room has these numbers. The arguments are checked: any server may send them."""
        if not (isinstance(room, str) and type(seq) is int and type(rev) is int):
            return
        try:
            here = self.is_here(self.audience_of(room))
        except EventError:
            return
        if here and (self._lacks(self.messages, room, seq) or self._lacks(self.changes, room, rev)):
            self._doubt(room)

    def _lacks(self, positions: Positions, room: str, number: int) -> bool:
        track = positions.get(room)
        return number > 0 and (track is None or not track.has(number))

    def uncertain(self, room: str) -> None:
        """A save of this instance may have been committed without its broadcast; the peers are told what is there."""
        if len(self._told_peers) < MAX_DOUBTS:
            self._told_peers.add(room)
        self._check_soon()

    def _doubt(self, room: str) -> None:
        if len(self._doubts) < MAX_DOUBTS:
            self._doubts.add(room)
        self._check_soon()

    def postpone(self, rooms: Sequence[str], tell: Sequence[str]) -> None:
        """Rooms could not be checked: check them later."""
        self._told_peers.update(tell)
        for room in rooms:
            self._doubt(room)

    def _check_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PAUSE, self._check_now)

    def _check_now(self) -> None:
        self._timer = None
        tell, self._told_peers = self._told_peers, set()
        doubts, self._doubts = self._doubts, set()
        rooms = {*doubts, *tell, *self.messages.gaps, *self.changes.gaps}
        if rooms:
            self.check(list(rooms), list(tell))

    async def tell_peers(self, room: str, seq: int, rev: int) -> None:
        """Tell the other instances what a room has; those with less catch up."""
        await self._namespace.server_side_emit(REPEATED, room, seq, rev)

    async def ask_peers(self) -> None:
        """Ask the other instances to catch up in all rooms."""
        await self._namespace.server_side_emit(CATCH_UP)

    def direct_rooms(self) -> list[str]:
        """The direct rooms that are tracked."""
        return list({room for rooms in self._direct.values() for room in rooms})

    def present(self) -> tuple[list[str], list[str]]:
        """The rooms with clients here, and the users with devices here."""
        prefix, clients = user_room(""), self._rooms.clients
        names = [name for name in self._rooms.names() if name not in clients]
        users = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
        return [name for name in names if not name.startswith(prefix)], users

    def late_clients(self, audience: Sequence[str], before: int) -> list[str]:
        """The ids of the clients that have connected after `before` (milliseconds): they have read what was there."""
        found = (client for room in audience for client in self._rooms.members(room))
        return [client.id for client in found if client.handshake.issued > before]

    async def emit_here(self, event: str, wire: dict[str, Any], audience: Sequence[str], late: Sequence[str]) -> None:
        """Emit to the clients of this instance, but not to the ids `late`."""
        await self._namespace.local.to(*audience).except_(*late).emit(event, wire)
