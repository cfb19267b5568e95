"""Namespace registry: maps names to handlers, and holds the room tables of the namespaces that are open."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from rtserver.protocol.packets import MAX_NAMESPACE_LENGTH
from rtserver.sio.broadcast.room_presence import OccupiedRooms, RoomPresence
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.middleware import unwrapped
from rtserver.sio.namespace.handler import NamespaceHandler, handler_of
from rtserver.sio.namespace.namespace import Namespace, PathFunction, path_text


class NamespaceRegistry:
    """Static namespaces keep their room tables. The table of a dynamic namespace is removed when it is empty."""

    def __init__(self, room_presence: RoomPresence) -> None:
        self._room_presence = room_presence
        self._namespaces: dict[str, Namespace] = {}
        self._static: dict[str, NamespaceHandler] = {}
        self._dynamic: list[tuple[re.Pattern[str] | PathFunction, NamespaceHandler]] = []
        self._rooms: dict[str, Rooms[Any]] = {}
        self.rooms: Callable[[str], Rooms[Any] | None] = self._rooms.get
        """The room table of an open namespace, or None. A dict's `get`, as every broadcast calls it."""

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The `Namespace` objects by `path_text`."""
        return MappingProxyType(self._namespaces)

    def add(self, namespace: Namespace) -> None:
        """Register a namespace; raises `ValueError` for one that no client could use, or for a duplicate."""
        _check(namespace)
        path, text = namespace.path, path_text(namespace)
        if (other := self._namespaces.get(text)) is not None:
            names = f"{type(other).__name__} and {type(namespace).__name__}"
            raise ValueError(f"two namespaces claim {text}, {names}: give one of them another path")
        handler = handler_of(namespace)
        if isinstance(path, str):
            self._static[path] = handler
            self.open(path, handler.room_presence)
        else:
            self._dynamic.append((path, handler))
        self._namespaces[text] = namespace

    def handler(self, name: str) -> NamespaceHandler | None:
        """The handler of a name now. A name that only a function knows has one while it has clients."""
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
        return any(unwrapped(client.handler) is handler for client in clients)

    async def find(self, name: str, auth: Mapping[str, Any] | None) -> NamespaceHandler | None:
        """The handler of a name for a client that connects; path functions are called each time."""
        found = self._static.get(name)
        if found is not None:
            return found
        for path, handler in self._dynamic:
            if path.fullmatch(name) if isinstance(path, re.Pattern) else await dispatcher.run_path(path, name, auth):
                return handler
        return None

    def open(self, name: str, room_presence: bool) -> tuple[Rooms[Any], bool]:
        """The room table, and whether it is new. `room_presence`: a new table tracks the users in its rooms."""
        rooms = self._rooms.get(name)
        if rooms is not None:
            return rooms, False
        rooms = self._rooms[name] = OccupiedRooms(name, self._room_presence) if room_presence else Rooms(name)
        return rooms, True

    def close_if_empty(self, name: str) -> bool:
        """Remove the room table of a dynamic namespace without clients; whether it was removed."""
        rooms = self._rooms.get(name)
        if rooms is None or rooms.clients or name in self._static:
            return False
        del self._rooms[name]
        return True

    def open_names(self) -> list[str]:
        return list(self._rooms)


def _check(namespace: Namespace) -> None:
    """Reject a definition that would admit too many clients, or none, before the first client comes."""
    name, path = type(namespace).__name__, getattr(namespace, "path", None)
    if path is None:
        raise ValueError(f'{name} has no path; write class …(Namespace, path="/name")')
    if not isinstance(path, str | re.Pattern) and not callable(path):
        raise ValueError(f"{name}: the path is a text, a compiled pattern or a function, not {path!r}")
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
