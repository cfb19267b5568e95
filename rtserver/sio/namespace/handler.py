"""Handler of a `Namespace` class: finds the method for an event, checks rate limit and arguments, and calls it.

An `async def` that never waits is run to its end at once (see `rtserver.sio.dispatch.eager_coroutines`).
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from rtserver.errors import InvalidPayload, UnknownEvent
from rtserver.sio.dispatch.arguments import Arguments
from rtserver.sio.dispatch.eager_coroutines import is_eager, run_eager
from rtserver.sio.dispatch.event_table import CATCH_ALL, SERVER_DEFAULT, EventHandler, Function, RateOption
from rtserver.sio.dispatch.interfaces import NO_ACK, HandlerResult, Step, ack_values
from rtserver.sio.namespace.namespace import Namespace, path_text

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client


@dataclass(frozen=True, slots=True)
class BoundHandler:
    """The handler of one event, bound to its namespace. `eager`: an `async def` that never waits."""

    function: Function
    arguments: Arguments
    rate: RateOption
    eager: bool


class NamespaceHandler:
    """See `rtserver.sio.dispatch.interfaces.Handler`."""

    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.label = path_text(namespace)
        self.auth = namespace.auth
        self.roles = frozenset(namespace.roles)
        self.has_connected = type(namespace).on_connected is not Namespace.on_connected
        self.has_disconnecting = type(namespace).on_disconnecting is not Namespace.on_disconnecting
        self.room_presence = namespace.room_presence
        self._handlers = {name: _bound(namespace, entry) for name, entry in type(namespace)._event_table.items()}

    @property
    def namespace(self) -> Namespace:
        return self._namespace

    async def connect(self, client: Client) -> None:
        for step in self._namespace.middleware:
            result = step(client)
            if inspect.isawaitable(result):
                await result
        await self._namespace.on_connect(client)

    async def connected(self, client: Client) -> None:
        await self._namespace.on_connected(client)

    async def disconnecting(self, client: Client, reason: str) -> None:
        await self._namespace.on_disconnecting(client, reason)

    async def disconnect(self, client: Client, reason: str) -> None:
        await self._namespace.on_disconnect(client, reason)

    def event(self, client: Client, args: list[Any]) -> HandlerResult:
        name = args[0]
        bound = self._handlers.get(name)
        if bound is None or name == CATCH_ALL:
            return self._catch_all(client, args)
        if bound.rate is not None:
            client.connection.server.event_limiter.check(client, name, bound.rate)
        result = bound.function(client, *bound.arguments.convert(args[1:]))
        if bound.eager:
            result = run_eager(result)
            return [result] if type(result) is not tuple and result is not None else ack_values(result)
        return result if type(result) is CoroutineType else _result(bound, result)

    def _catch_all(self, client: Client, args: list[Any]) -> HandlerResult:
        bound = self._handlers.get(CATCH_ALL)
        # All unknown names share one bucket, so a client cannot make the server keep a bucket for each.
        client.connection.server.event_limiter.check(client, CATCH_ALL, SERVER_DEFAULT if bound is None else bound.rate)
        check_length(client, args[0])
        if bound is None:
            raise UnknownEvent()
        return _result(bound, bound.function(client, args[0], *bound.arguments.convert(args[1:])))

    async def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Any:
        name = args[0]
        bound = self._handlers.get(name) if name != CATCH_ALL else None
        handler = bound or self._handlers.get(CATCH_ALL)
        rate = SERVER_DEFAULT if handler is None else handler.rate
        client.connection.server.event_limiter.check(client, CATCH_ALL if bound is None else name, rate)
        if bound is None:
            check_length(client, name)
        args = await apply_middleware(steps, args)
        if not client.connected:
            return NO_ACK
        if handler is None:
            raise UnknownEvent()
        leading = [name] if bound is None else []
        result = handler.function(client, *leading, *handler.arguments.convert(args[1:]))
        return await result if inspect.isawaitable(result) else result

    async def server_event(self, args: list[Any]) -> Any:
        """Run the handler of a server event; raises `LookupError` when there is none, and only then."""
        name = args[0] if args and isinstance(args[0], str) else ""
        attribute = type(self._namespace)._server_event_table.get(name)
        if attribute is None:
            raise LookupError("no handler for this server event")
        try:
            result = getattr(self._namespace, attribute)(*args[1:])
            return await result if inspect.isawaitable(result) else result
        except LookupError as error:
            raise RuntimeError(f"the handler of the server event {name!r} failed") from error


class FilteringHandler(NamespaceHandler):
    """Handler of a `Namespace` that overrides `on_event`: every event goes through it, as the last middleware."""

    def event(self, client: Client, args: list[Any]) -> HandlerResult:
        return self.filtered(client, args, ())

    async def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Any:
        return await super().filtered(client, args, (*steps, partial(self._namespace.on_event, client)))


def handler_of(namespace: Namespace) -> NamespaceHandler:
    """The handler for a `Namespace` object."""
    filtering = type(namespace).on_event is not Namespace.on_event
    return FilteringHandler(namespace) if filtering else NamespaceHandler(namespace)


async def apply_middleware(steps: Sequence[Step], args: list[Any]) -> list[Any]:
    """`[event, *args]` after the middleware, which may return arguments or change the list that it is given."""
    for step in steps:
        values = args[1:]
        result = step(args[0], values)
        if inspect.isawaitable(result):
            result = await result
        if result is not None and type(result) not in (list, tuple):
            raise TypeError("the middleware of an event returns None, or a list of arguments")
        args = [args[0], *(values if result is None else result)]
    return args


def _bound(namespace: Namespace, entry: EventHandler) -> BoundHandler:
    function: Function = getattr(namespace, entry.attribute)
    return BoundHandler(function, entry.arguments, entry.rate, is_eager(function))


def _result(bound: BoundHandler, result: Any) -> HandlerResult:
    if bound.eager:
        return ack_values(run_eager(result))
    return _later(result) if inspect.isawaitable(result) else ack_values(result)


async def _later(result: Awaitable[Any]) -> Any:
    return await result


def check_length(client: Client, name: Any) -> None:
    """Limit the length of an event name that has no handler of its own; raises `InvalidPayload`."""
    if type(name) is str and len(name) > client.connection.server.limits.max_event_length:
        raise InvalidPayload("The name of the event is too long")
