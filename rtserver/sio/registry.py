"""Which names are namespaces, what handles each, and the room tables of those that are open."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from rtserver.protocol.packets import MAX_NAMESPACE_LENGTH
from rtserver.sio.namespace import Namespace, path_text
from rtserver.sio.namespace_handler import NamespaceHandler
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
        _check(namespace)
        path, text = namespace.path, path_text(namespace)
        if text in self._namespaces:
            raise ValueError(f"two namespaces claim {text}")
        handler = NamespaceHandler(namespace)
        if isinstance(path, str):
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
