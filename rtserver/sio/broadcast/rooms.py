"""Room table: the clients of one namespace and the rooms they are in, on this server.

A broadcast needs the members of a room, a departure needs the rooms of a client, and both must be fast. So the
membership is kept in both directions:

    _members:      room → {sid: client}    dicts, so that broadcasts go out in the order of joining
    client.rooms:  client → {room, …}

Joining or leaving one room costs two hash operations. A departure costs the rooms that the client was in, not the
rooms that exist. A broadcast to one room copies one dict's values; to several rooms it merges dicts by sid, so that a
client in several of them is selected once.

Invariants:
1. A client is in the table only between its acceptance and its departure, and no other client is ever selected.
2. Both directions agree for every client in the table.
3. A client that is leaving (its `on_disconnecting` runs) is reported by `leaving`, and selected for no broadcast.
4. A socket id counts as a room with one member and needs no entry of its own. Empty rooms do not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from rtserver.sio.broadcast.recipient import Recipient
    from rtserver.sio.broadcast.target import Target

ClientT = TypeVar("ClientT", bound="Recipient")


class Rooms(Generic[ClientT]):
    __slots__ = ("_clients", "_leaving", "_members", "_watch", "name")

    def __init__(self, name: str) -> None:
        """`name` is the namespace's."""
        self.name = name
        self._clients: dict[str, ClientT] = {}
        self._members: dict[str, dict[str, ClientT]] = {}
        self._leaving: dict[str, ClientT] = {}
        self._watch: Callable[[str], None] = _no_watcher

    def watch(self, watcher: Callable[[str], None]) -> None:
        """Also call `watcher(room)` whenever a room may have begun or ceased to exist; `has` says which."""
        before = self._watch
        self._watch = watcher if before is _no_watcher else _both(before, watcher)

    @property
    def clients(self) -> Mapping[str, ClientT]:
        """The clients of the namespace by socket id."""
        return self._clients

    def add(self, client: ClientT) -> None:
        """Put an accepted client into the table, with the rooms it joined while connecting."""
        self._clients[client.id] = client
        self._watch(client.id)
        for room in client.rooms:
            self._enter(client, room)

    def remove(self, client: ClientT) -> None:
        """Take a client out of the table; `client.rooms` keeps its rooms."""
        if self._clients.pop(client.id, None) is None:
            return
        self._watch(client.id)
        for room in client.rooms:
            self._discard(client, room)

    def start_leaving(self, client: ClientT) -> None:
        """Take a client out of all broadcasts; `leaving` reports it until `finish_leaving`."""
        self.remove(client)
        self._leaving[client.id] = client

    def finish_leaving(self, client: ClientT) -> None:
        self._leaving.pop(client.id, None)

    def leaving(self, target: Target) -> list[ClientT]:
        """The clients that are leaving and that `target` addresses."""
        return [client for client in self._leaving.values() if _addressed(client, target)]

    def join(self, client: ClientT, rooms: Iterable[str]) -> None:
        """Add a client to rooms. A client that is not in the table yet enters them with `add`."""
        accepted = client.id in self._clients
        for room in rooms:
            if room != client.id:
                client.rooms.add(room)
                if accepted:
                    self._enter(client, room)

    def leave(self, client: ClientT, rooms: Iterable[str]) -> None:
        for room in rooms:
            if room in client.rooms:
                client.rooms.discard(room)
                self._discard(client, room)

    def _enter(self, client: ClientT, room: str) -> None:
        members = self._members.get(room)
        if members is None:
            self._members[room] = {client.id: client}
            self._watch(room)
        else:
            members[client.id] = client

    def _discard(self, client: ClientT, room: str) -> None:
        members = self._members.get(room)
        if members is not None and members.pop(client.id, None) is not None and not members:
            del self._members[room]
            self._watch(room)

    def has(self, room: str) -> bool:
        """Whether the room has a member, or is the id of a client."""
        return room in self._members or room in self._clients

    def names(self) -> set[str]:
        """All rooms, socket ids included, as Node's `allRooms` reports them."""
        leaving = (room for client in self._leaving.values() for room in (client.id, *client.rooms))
        return {*self._members, *self._clients, *leaving}

    def members(self, room: str) -> Collection[ClientT]:
        """The clients in a room. A view: copy it before anything joins or leaves."""
        client = self._clients.get(room)
        if client is not None:
            return (client,)
        return self._members.get(room, {}).values()

    def select(self, target: Target) -> list[ClientT]:
        """The addressed clients, each once. A list, because emitting may change the rooms."""
        if not target.rooms:
            selected = list(self._clients.values())
        elif len(target.rooms) == 1:
            room = target.rooms[0]
            client = self._clients.get(room)
            selected = [client] if client is not None else list(self._members.get(room, {}).values())
        else:
            union: dict[str, ClientT] = {}
            for room in target.rooms:
                union.update((client.id, client) for client in self.members(room))
            selected = list(union.values())
        if target.except_:
            excluded = {client.id for room in target.except_ for client in self.members(room)}
            if excluded:
                selected = [client for client in selected if client.id not in excluded]
        return selected


def _no_watcher(room: str) -> None:
    """Default watcher: does nothing."""


def _both(first: Callable[[str], None], second: Callable[[str], None]) -> Callable[[str], None]:
    def watch(room: str) -> None:
        first(room)
        second(room)

    return watch


def _addressed(client: Recipient, target: Target) -> bool:
    rooms = {client.id, *client.rooms}
    return (not target.rooms or not rooms.isdisjoint(target.rooms)) and rooms.isdisjoint(target.except_)
