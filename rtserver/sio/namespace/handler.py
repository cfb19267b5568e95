"""Drives a `Namespace` for the server: finds the handler of an event, checks rate and arguments, runs it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from rtserver.errors import InvalidPayload, UnknownEvent
from rtserver.sio.dispatch.arguments import Arguments
from rtserver.sio.dispatch.eager_coroutines import is_eager, run_eager
from rtserver.sio.dispatch.event_table import CATCH_ALL, SERVER_DEFAULT, EventHandler, Function, RateOption
from rtserver.sio.dispatch.interfaces import NO_ACK, Answer, Step, ack_values
from rtserver.sio.namespace.namespace import Namespace, path_text

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client


@dataclass(frozen=True, slots=True)
class Call:
    """What an event leads to. `finishes`: an `async def` that never waits."""

    function: Function
    arguments: Arguments
    rate: RateOption
    finishes: bool


class NamespaceHandler:
    def __init__(self, namespace: Namespace) -> None:
        self._namespace = namespace
        self.label = path_text(namespace)
        self.auth = namespace.auth
        self.roles = frozenset(namespace.roles)
        self.has_connected = type(namespace).on_connected is not Namespace.on_connected
        self.has_disconnecting = type(namespace).on_disconnecting is not Namespace.on_disconnecting
        self.room_presence = namespace.room_presence
        self._calls = {name: _call(namespace, entry) for name, entry in type(namespace)._event_table.items()}

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

    def event(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Any]:
        name = args[0]
        call = self._calls.get(name)
        if call is None or name == CATCH_ALL:
            return self._catch_all(client, args)
        if call.rate is not None:
            client.connection.server.limiter.check(client, name, call.rate)
        result = call.function(client, *call.arguments.convert(args[1:]))
        if call.finishes:
            result = run_eager(result)
            return [result] if type(result) is not tuple and result is not None else ack_values(result)
        return result if type(result) is CoroutineType else _answer(call, result)

    def _catch_all(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Any]:
        call = self._calls.get(CATCH_ALL)
        # One bucket for all unknown names: a client cannot make the server keep one for each.
        client.connection.server.limiter.check(client, CATCH_ALL, SERVER_DEFAULT if call is None else call.rate)
        check_length(client, args[0])
        if call is None:
            raise UnknownEvent()
        return _answer(call, call.function(client, args[0], *call.arguments.convert(args[1:])))

    async def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Any:
        name = args[0]
        call = self._calls.get(name) if name != CATCH_ALL else None
        taker = call or self._calls.get(CATCH_ALL)
        rate = SERVER_DEFAULT if taker is None else taker.rate
        client.connection.server.limiter.check(client, CATCH_ALL if call is None else name, rate)
        if call is None:
            check_length(client, name)
        args = await apply_middleware(steps, args)
        if not client.connected:
            return NO_ACK
        if taker is None:
            raise UnknownEvent()
        leading = [name] if call is None else []
        result = taker.function(client, *leading, *taker.arguments.convert(args[1:]))
        return await result if inspect.isawaitable(result) else result

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


class FilteringHandler(NamespaceHandler):
    """Of a `Namespace` with an `on_event` of its own, through which every event goes."""

    def event(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Any]:
        return self.filtered(client, args, ())

    async def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Any:
        return await super().filtered(client, args, (*steps, partial(self._namespace.on_event, client)))


def handler_of(namespace: Namespace) -> NamespaceHandler:
    filtering = type(namespace).on_event is not Namespace.on_event
    return FilteringHandler(namespace) if filtering else NamespaceHandler(namespace)


async def apply_middleware(steps: Sequence[Step], args: list[Any]) -> list[Any]:
    """`[event, *args]` as the middleware leaves it; it may also change the list that it is given."""
    for step in steps:
        values = args[1:]
        result = step(args[0], values)
        if inspect.isawaitable(result):
            result = await result
        if result is not None and type(result) not in (list, tuple):
            raise TypeError("the middleware of an event returns None, or a list of arguments")
        args = [args[0], *(values if result is None else result)]
    return args


def _call(namespace: Namespace, entry: EventHandler) -> Call:
    function: Function = getattr(namespace, entry.attribute)
    return Call(function, entry.arguments, entry.rate, is_eager(function))


def _answer(call: Call, result: Any) -> Answer | Coroutine[Any, Any, Any]:
    if call.finishes:
        return ack_values(run_eager(result))
    return _later(result) if inspect.isawaitable(result) else ack_values(result)


async def _later(result: Awaitable[Any]) -> Any:
    return await result


def check_length(client: Client, name: Any) -> None:
    """Of an event that no handler is named after; raises `InvalidPayload`."""
    if type(name) is str and len(name) > client.connection.server.bounds.max_event_length:
        raise InvalidPayload("The name of the event is too long")
