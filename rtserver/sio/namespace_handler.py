"""Drives a `Namespace` for the server: finds the handler of an event, checks rate and arguments, runs it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from rtserver.errors import UnknownEvent
from rtserver.sio.namespace import Namespace, path_text
from rtserver.sio.table import CATCH_ALL, Function

if TYPE_CHECKING:
    from rtserver.sio.client import Client


class NamespaceHandler:
    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.label = path_text(namespace)
        self.auth = namespace.auth
        self.roles = frozenset(namespace.roles)
        self._entries = type(namespace)._event_table
        self._functions: dict[str, Function] = {
            name: getattr(namespace, entry.attribute) for name, entry in self._entries.items()
        }

    @property
    def namespace(self) -> Namespace:
        return self._namespace

    async def connect(self, client: Client) -> None:
        await self._namespace.on_connect(client)

    async def connected(self, client: Client) -> None:
        await self._namespace.on_connected(client)

    async def disconnect(self, client: Client, reason: str) -> None:
        await self._namespace.on_disconnect(client, reason)

    async def event(self, client: Client, args: list[Any]) -> list[Any]:
        name = args[0]
        entry = self._entries.get(name)
        if entry is None or name == CATCH_ALL:
            return await self._catch_all(client, args)
        client.server.limiter.check(client, name, entry.rate)
        values = entry.arguments.convert(args[1:])
        return await _answer(self._functions[name](client, *values))

    async def _catch_all(self, client: Client, args: list[Any]) -> list[Any]:
        entry = self._entries.get(CATCH_ALL)
        if entry is None:
            # One bucket for all unknown names: a client cannot make the server keep one for each.
            client.server.limiter.check(client, CATCH_ALL)
            raise UnknownEvent()
        client.server.limiter.check(client, CATCH_ALL, entry.rate)
        values = entry.arguments.convert(args[1:])
        return await _answer(self._functions[CATCH_ALL](client, args[0], *values))

    async def server_event(self, args: list[Any]) -> Any:
        """Raises `LookupError` when there is no handler, and only then."""
        name = args[0] if args and isinstance(args[0], str) else ""
        attribute = type(self._namespace)._server_event_table.get(name)
        if attribute is None:
            raise LookupError("no handler for this server event")
        try:
            result = getattr(self._namespace, attribute)(*args[1:])
            return await result if inspect.isawaitable(result) else result
        except LookupError as error:
            raise RuntimeError(f"the handler of the server event {name!r} failed") from error


async def _answer(result: Any) -> list[Any]:
    return ack_values(await result if inspect.isawaitable(result) else result)


def ack_values(result: Any) -> list[Any]:
    """What a handler returns as the values of the ack: a tuple = several, None = none."""
    if result is None:
        return []
    if type(result) is tuple:
        return list(result)
    return [result]
