"""Which names are namespaces, what handles each, and the room tables of those that are open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from rtserver.sio.namespace import Namespace, NamespaceHandler
from rtserver.sio.rooms import Rooms


class Registry:
    """Static namespaces keep their room table; one made by a pattern goes when it is empty."""

    def __init__(self) -> None:
        self._namespaces: dict[str, Namespace] = {}
        self._static: dict[str, NamespaceHandler] = {}
        self._patterns: list[tuple[re.Pattern[str], NamespaceHandler]] = []
        self._rooms: dict[str, Rooms] = {}

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The `Namespace` objects by path (the text of the pattern for dynamic ones)."""
        return MappingProxyType(self._namespaces)

    def add(self, namespace: Namespace) -> None:
        path = getattr(namespace, "path", None)
        if path is None:
            raise ValueError(f'{type(namespace).__name__} has no path; write class …(Namespace, path="/name")')
        text = path if isinstance(path, str) else path.pattern
        if text in self._namespaces:
            raise ValueError(f"two namespaces claim {text}")
        handler = NamespaceHandler(namespace)
        if isinstance(path, str):
            if not path.startswith("/"):
                raise ValueError(f"the path {path!r} does not begin with a slash")
            self._static[path] = handler
            self._rooms[path] = Rooms(path)
        else:
            self._patterns.append((path, handler))
        self._namespaces[text] = namespace

    def handler(self, name: str) -> NamespaceHandler | None:
        found = self._static.get(name)
        if found is not None:
            return found
        return next((handler for pattern, handler in self._patterns if pattern.fullmatch(name)), None)

    def rooms(self, name: str) -> Rooms | None:
        return self._rooms.get(name)

    def open(self, name: str) -> tuple[Rooms, bool]:
        """The room table, and whether it is new."""
        rooms = self._rooms.get(name)
        if rooms is not None:
            return rooms, False
        rooms = self._rooms[name] = Rooms(name)
        return rooms, True

    def close_if_empty(self, name: str) -> bool:
        rooms = self._rooms.get(name)
        if rooms is None or rooms.clients or name in self._static:
            return False
        del self._rooms[name]
        return True

    def open_names(self) -> list[str]:
        return list(self._rooms)


