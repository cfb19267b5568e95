"""Which names are namespaces, what handles each, and the room tables of those that are open."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from rtserver.protocol.packets import MAX_NAMESPACE_LENGTH
from rtserver.sio.broadcast.room_presence import OccupiedRooms, RoomPresence
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.middleware import plain
from rtserver.sio.namespace.handler import NamespaceHandler, handler_of
from rtserver.sio.namespace.namespace import Namespace, PathFunction, path_text


class NamespaceRegistry:
    """Static namespaces keep their room table; one made by a pattern or a function goes when it is empty."""

    def __init__(self, occupancy: RoomPresence) -> None:
        self._occupancy = occupancy
        self._namespaces: dict[str, Namespace] = {}
        self._static: dict[str, NamespaceHandler] = {}
        self._dynamic: list[tuple[re.Pattern[str] | PathFunction, NamespaceHandler]] = []
        self._rooms: dict[str, Rooms] = {}
        self.rooms: Callable[[str], Rooms | None] = self._rooms.get
        """The room table of a namespace that is open; asked for every broadcast."""

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The `Namespace` objects by path (the text of the pattern for dynamic ones)."""
        return MappingProxyType(self._namespaces)

    def add(self, namespace: Namespace) -> None:
        _check(namespace)
        path, text = namespace.path, path_text(namespace)
        if text in self._namespaces:
            raise ValueError(f"two namespaces claim {text}")
        handler = handler_of(namespace)
        if isinstance(path, str):
            self._static[path] = handler
            self.open(path, handler.room_presence)
        else:
            self._dynamic.append((path, handler))
        self._namespaces[text] = namespace

    def handler(self, name: str) -> NamespaceHandler | None:
        """What handles a name now; of the names that only a function knows, those with clients in them."""
        found = self._static.get(name)
        if found is not None:
            return found
        for path, handler in self._dynamic:
            if path.fullmatch(name) if isinstance(path, re.Pattern) else self._handles(handler, name):
                return handler
        return None

    def _handles(self, handler: NamespaceHandler, name: str) -> bool:
        rooms = self._rooms.get(name)
        clients = rooms.clients.values() if rooms is not None else ()
        return any(plain(client.handler) is handler for client in clients)

    async def find(self, name: str, auth: Mapping[str, Any] | None) -> NamespaceHandler | None:
        """What handles a name for a client that asks for it now: functions are asked each time."""
        found = self._static.get(name)
        if found is not None:
            return found
        for path, handler in self._dynamic:
            if path.fullmatch(name) if isinstance(path, re.Pattern) else await dispatcher.run_path(path, name, auth):
                return handler
        return None

    def open(self, name: str, room_presence: bool) -> tuple[Rooms, bool]:
        """The room table, and whether it is new. `room_presence`: a new one is to tell who is in its rooms."""
        rooms = self._rooms.get(name)
        if rooms is not None:
            return rooms, False
        rooms = self._rooms[name] = OccupiedRooms(name, self._occupancy) if room_presence else Rooms(name)
        return rooms, True

    def close_if_empty(self, name: str) -> bool:
        rooms = self._rooms.get(name)
        if rooms is None or rooms.clients or name in self._static:
            return False
        del self._rooms[name]
        return True

    def open_names(self) -> list[str]:
        return list(self._rooms)


def _check(namespace: Namespace) -> None:
    """Mistakes that would let people in, or leave nobody in, are found before the first client is."""
    name, path = type(namespace).__name__, getattr(namespace, "path", None)
    if path is None:
        raise ValueError(f'{name} has no path; write class …(Namespace, path="/name")')
    if isinstance(path, str) and not path.startswith("/"):
        raise ValueError(f"{name}: the path {path!r} does not begin with a slash")
    if isinstance(path, str) and ("," in path or len(path) > MAX_NAMESPACE_LENGTH):
        raise ValueError(f"{name}: no client can name the path {path!r}")
    if namespace.auth not in ("required", "optional", "none"):
        raise ValueError(f'{name}: auth is "required", "optional" or "none", not {namespace.auth!r}')
    if isinstance(namespace.roles, str):
        raise ValueError(f'{name}: roles is a set, such as {{"{namespace.roles}"}}')
    if namespace.roles and namespace.auth != "required":
        raise ValueError(f'{name}: roles need auth = "required"')
