"""Room presence: which users are in a room now, with their devices, for namespaces with `room_presence`.

`RoomPresence` knows this server only; the cluster's subclass asks the other servers as well. Rules:
1. A user in a room is one entry with a count of devices. A client that leaves costs the rooms it was in.
2. Private rooms (`user:…`, socket ids) are not counted, and neither are clients without an identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

from rtserver.identity import user_room
from rtserver.ids import looks_like_sid
from rtserver.sio.broadcast.rooms import ClientT, Rooms

if TYPE_CHECKING:
    from rtserver.sio.broadcast.recipient import Recipient

MOST = 1000
"""The most users in one answer."""

Place = tuple[str, str]
"""A namespace and a room in it."""

Found = dict[str, dict[str, int]]
"""The number of devices by user and instance."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """A user in a room. `devices` counts those of all instances, `instances` those of each."""

    user: str
    devices: int
    instances: Mapping[str, int]


class Occupants(list[Occupant]):
    """Occupants ordered by user id.

    `next` is the `after` of the following page; None on the last page. `partial`: an instance did not answer, so the
    list may lack users.
    """

    def __init__(self, found: Found, order: Iterable[str], *, partial: bool = False, next: str | None = None) -> None:
        super().__init__(Occupant(user, sum(found[user].values()), found[user]) for user in order)
        self.partial = partial
        self.next = next


class RoomPresence:
    """Room presence of this server. `alone`: there are no other servers; if there are, answers are marked partial."""

    def __init__(self, instance: str = "local", *, alone: bool = True) -> None:
        self.instance = instance
        self._alone = alone
        self._places: dict[Place, dict[str, int]] = {}
        self._entries = 0

    def __len__(self) -> int:
        """The number of entries: one for each user in each room."""
        return self._entries

    def __iter__(self) -> Iterator[tuple[Place, str]]:
        return ((place, user) for place, users in self._places.items() for user in users)

    def devices(self, place: Place, user: str) -> int:
        """The number of the user's devices in a room of this server."""
        return self._places.get(place, {}).get(user, 0)

    def entered(self, place: Place, user: str) -> None:
        """A device of the user joined the room."""
        users = self._places.setdefault(place, {})
        before = users.get(user, 0)
        users[user] = before + 1
        self._entries += not before
        self._changed(place, user)

    def left(self, place: Place, user: str) -> None:
        """A device of the user left the room."""
        users = self._places[place]
        users[user] -= 1
        if not users[user]:
            del users[user]
            self._entries -= 1
        if not users:
            del self._places[place]
        self._changed(place, user)

    async def page(self, namespace: str, room: str, after: str | None = None, limit: int = MOST) -> Occupants:
        """One page of the users in the room: at most `limit` (and `MOST`), with ids greater than `after`."""
        return page(self._page_here((namespace, room), after, limit), limit, partial=not self._alone)

    async def among(self, namespace: str, room: str, users: Sequence[str]) -> Occupants:
        """Those of `users` who are in the room."""
        return chosen(self._among_here((namespace, room), users), users, partial=not self._alone)

    def _changed(self, place: Place, user: str) -> None:
        """Hook for subclasses: the number of the user's devices in the room changed."""

    def _page_here(self, place: Place, after: str | None, limit: int) -> Found:
        """A page with one user more than asked for, which shows that a further page exists."""
        here = self._places.get(place, {})
        users = here if after is None else (user for user in here if user > after)
        return {user: {self.instance: here[user]} for user in nsmallest(bounded(limit) + 1, users)}

    def _among_here(self, place: Place, users: Iterable[str]) -> Found:
        here = self._places.get(place, {})
        return {user: {self.instance: here[user]} for user in users if user in here}


class OccupiedRooms(Rooms[ClientT]):
    """The room table of a namespace with `room_presence`: reports joins and departures."""

    __slots__ = ("_room_presence",)

    def __init__(self, name: str, room_presence: RoomPresence) -> None:
        super().__init__(name)
        self._room_presence = room_presence

    def _enter(self, client: ClientT, room: str) -> None:
        new = client.id not in self._members.get(room, ())
        super()._enter(client, room)
        if new and _counts(client, room):
            self._room_presence.entered((self.name, room), client.user)

    def _discard(self, client: ClientT, room: str) -> None:
        known = client.id in self._members.get(room, ())
        super()._discard(client, room)
        if known and _counts(client, room):
            self._room_presence.left((self.name, room), client.user)


def _counts(client: Recipient, room: str) -> bool:
    return client.identity is not None and not room.startswith(user_room("")) and not looks_like_sid(room)


def bounded(limit: int) -> int:
    """`limit` within 1 and `MOST`."""
    return max(1, min(limit, MOST))


def page(found: Found, limit: int, *, partial: bool = False) -> Occupants:
    """The first `limit` users of `found`; a further one in `found` shows that a further page exists."""
    users = sorted(found)
    shown = users[: bounded(limit)]
    return Occupants(found, shown, partial=partial, next=shown[-1] if len(users) > len(shown) else None)


def chosen(found: Found, users: Iterable[str], *, partial: bool = False) -> Occupants:
    """Those of `users` that are in `found`, in the order of `users`."""
    return Occupants(found, (user for user in dict.fromkeys(users) if user in found), partial=partial)
