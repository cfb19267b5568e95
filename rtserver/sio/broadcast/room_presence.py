"""Who is in which room now: users with their devices, in the namespaces that ask for it (`room_presence`).

`RoomPresence` knows this server alone; a cluster's asks the others as well. Rules:
1. A user in a room is one entry, however many devices; a client that goes costs the rooms it was in.
2. The rooms of one client (`user:…`, socket ids) are not counted, nor are clients without an identity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from typing import TYPE_CHECKING

from rtserver.identity import user_room
from rtserver.ids import looks_like_sid
from rtserver.sio.broadcast.rooms import Rooms

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client

MOST = 1000
"""Users in one answer."""

Place = tuple[str, str]
"""A namespace and a room in it."""
Found = dict[str, dict[str, int]]
"""Devices by user and instance."""


@dataclass(frozen=True, slots=True)
class Occupant:
    """A user with `devices` in the room, all instances together."""

    user: str
    devices: int
    instances: Mapping[str, int]


class Occupants(list[Occupant]):
    """By user id. `next` is the `after` of the following page, None on the last one; `partial`: an instance was
    silent, so there may be others."""

    def __init__(self, found: Found, order: Iterable[str], *, partial: bool = False, next: str | None = None) -> None:
        super().__init__(Occupant(user, sum(found[user].values()), found[user]) for user in order)
        self.partial = partial
        self.next = next


class RoomPresence:
    """`alone`: there is no other server that could be asked; else what this one knows is called partial."""

    def __init__(self, instance: str = "local", *, alone: bool = True) -> None:
        self.instance = instance
        self._alone = alone
        self._places: dict[Place, dict[str, int]] = {}
        self._entries = 0

    def __len__(self) -> int:
        """Entries: each user of each room."""
        return self._entries

    def __iter__(self) -> Iterator[tuple[Place, str]]:
        return ((place, user) for place, users in self._places.items() for user in users)

    def devices(self, place: Place, user: str) -> int:
        """On this server."""
        return self._places.get(place, {}).get(user, 0)

    def entered(self, place: Place, user: str) -> None:
        users = self._places.setdefault(place, {})
        before = users.get(user, 0)
        users[user] = before + 1
        self._entries += not before
        self._changed(place, user)

    def left(self, place: Place, user: str) -> None:
        users = self._places[place]
        users[user] -= 1
        if not users[user]:
            del users[user]
            self._entries -= 1
        if not users:
            del self._places[place]
        self._changed(place, user)

    async def page(self, namespace: str, room: str, after: str | None = None, limit: int = MOST) -> Occupants:
        """Who is in the room, `MOST` at once, those behind `after`."""
        return page(self._page_here((namespace, room), after, limit), limit, partial=not self._alone)

    async def among(self, namespace: str, room: str, users: Sequence[str]) -> Occupants:
        """Those of `users` that are in the room."""
        return chosen(self._among_here((namespace, room), users), users, partial=not self._alone)

    def _changed(self, place: Place, user: str) -> None:
        """Nobody else wants to know."""

    def _page_here(self, place: Place, after: str | None, limit: int) -> Found:
        """One more than asked for, if there is."""
        here = self._places.get(place, {})
        users = here if after is None else (user for user in here if user > after)
        return {user: {self.instance: here[user]} for user in nsmallest(bounded(limit) + 1, users)}

    def _among_here(self, place: Place, users: Iterable[str]) -> Found:
        here = self._places.get(place, {})
        return {user: {self.instance: here[user]} for user in users if user in here}


class OccupiedRooms(Rooms):
    """The rooms of a namespace that wants to know who is in them."""

    __slots__ = ("_occupancy",)

    def __init__(self, name: str, occupancy: RoomPresence) -> None:
        super().__init__(name)
        self._occupancy = occupancy

    def _enter(self, client: Client, room: str) -> None:
        new = client.id not in self._members.get(room, ())
        super()._enter(client, room)
        if new and _counts(client, room):
            self._occupancy.entered((self.name, room), client.user)

    def _discard(self, client: Client, room: str) -> None:
        known = client.id in self._members.get(room, ())
        super()._discard(client, room)
        if known and _counts(client, room):
            self._occupancy.left((self.name, room), client.user)


def _counts(client: Client, room: str) -> bool:
    return client.identity is not None and not room.startswith(user_room("")) and not looks_like_sid(room)


def bounded(limit: int) -> int:
    return max(1, min(limit, MOST))


def page(found: Found, limit: int, *, partial: bool = False) -> Occupants:
    """The first of `found`, which has more if there are."""
    users = sorted(found)
    shown = users[: bounded(limit)]
    return Occupants(found, shown, partial=partial, next=shown[-1] if len(users) > len(shown) else None)


def chosen(found: Found, users: Iterable[str], *, partial: bool = False) -> Occupants:
    """Those of `users` that were found, in that order."""
    return Occupants(found, (user for user in dict.fromkeys(users) if user in found), partial=partial)
