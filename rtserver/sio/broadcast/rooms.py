"""The clients of one concrete namespace and the rooms they are in, on this server.

Invariants:
1. A client is here only between its acceptance and its departure; nobody else is ever selected for a broadcast.
2. Both directions are kept (room to members, member to rooms), so a departure costs the rooms that client was in.
3. Who is leaving (its `on_disconnecting` runs) is told among the members, and selected for no broadcast.
4. A socket id counts as a room of one, without an entry of its own. An empty room does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client


class Rooms:
    __slots__ = ("_clients", "_leaving", "_members", "_watch", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self._clients: dict[str, Client] = {}
        self._members: dict[str, dict[str, Client]] = {}
        self._leaving: dict[str, Client] = {}
        self._watch: Callable[[str], None] = _unwatched

    def watch(self, watcher: Callable[[str], None]) -> None:
        """`watcher(room)` is called when a room may have begun or ceased to exist: see `has`."""
        self._watch = watcher

    @property
    def clients(self) -> Mapping[str, Client]:
        return self._clients

    def add(self, client: Client) -> None:
        self._clients[client.id] = client
        self._watch(client.id)
        for room in client.rooms:
            self._enter(client, room)

    def remove(self, client: Client) -> None:
        if self._clients.pop(client.id, None) is None:
            return
        self._watch(client.id)
        for room in client.rooms:
            self._discard(client, room)

    def retire(self, client: Client) -> None:
        """It leaves, but is still told among the members until its `release`."""
        self.remove(client)
        self._leaving[client.id] = client

    def release(self, client: Client) -> None:
        self._leaving.pop(client.id, None)

    def leaving(self, target: Target) -> list[Client]:
        """Those who are leaving and would be addressed."""
        return [client for client in self._leaving.values() if _addressed(client, target)]

    def join(self, client: Client, rooms: Iterable[str]) -> None:
        accepted = client.id in self._clients
        for room in rooms:
            if room != client.id:
                client.rooms.add(room)
                if accepted:
                    self._enter(client, room)

    def leave(self, client: Client, rooms: Iterable[str]) -> None:
        for room in rooms:
            if room in client.rooms:
                client.rooms.discard(room)
                self._discard(client, room)

    def _enter(self, client: Client, room: str) -> None:
        members = self._members.get(room)
        if members is None:
            self._members[room] = {client.id: client}
            self._watch(room)
        else:
            members[client.id] = client

    def _discard(self, client: Client, room: str) -> None:
        members = self._members.get(room)
        if members is not None and members.pop(client.id, None) is not None and not members:
            del self._members[room]
            self._watch(room)

    def has(self, room: str) -> bool:
        return room in self._members or room in self._clients

    def names(self) -> set[str]:
        """Every room, socket ids included, as Node's `allRooms` tells them."""
        leaving = (room for client in self._leaving.values() for room in (client.id, *client.rooms))
        return {*self._members, *self._clients, *leaving}

    def members(self, room: str) -> Collection[Client]:
        client = self._clients.get(room)
        if client is not None:
            return (client,)
        return self._members.get(room, {}).values()

    def select(self, target: Target) -> list[Client]:
        """Each addressed client once. A list, because emitting may change the rooms underneath."""
        if not target.rooms:
            chosen = list(self._clients.values())
        elif len(target.rooms) == 1:
            room = target.rooms[0]
            client = self._clients.get(room)
            chosen = [client] if client is not None else list(self._members.get(room, {}).values())
        else:
            union: dict[str, Client] = {}
            for room in target.rooms:
                union.update((client.id, client) for client in self.members(room))
            chosen = list(union.values())
        if target.except_:
            excluded = {client.id for room in target.except_ for client in self.members(room)}
            if excluded:
                chosen = [client for client in chosen if client.id not in excluded]
        return chosen


def _unwatched(room: str) -> None:
    """Nobody wants to know."""


def _addressed(client: Client, target: Target) -> bool:
    rooms = {client.id, *client.rooms}
    return (not target.rooms or not rooms.isdisjoint(target.rooms)) and rooms.isdisjoint(target.except_)
