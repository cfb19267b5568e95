"""Handlers written for python-socketio (`@sio.event`, `AsyncNamespace`), called as python-socketio calls them.

Three deliberate differences:
1. A client cannot call a lifecycle handler (`connect`, `disconnect`) by sending an event of that name.
2. An event that no handler takes is not acknowledged.
3. None beyond the arguments that a handler takes is ignored: a JavaScript client that leaves a callback undefined sends
   it. Other surplus arguments fail with `TypeError`, as in python-socketio.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from socketio import AsyncNamespace
from socketio import exceptions as socketio_exceptions

from rtserver.errors import Refused
from rtserver.sio.dispatch.event_table import CATCH_ALL
from rtserver.sio.dispatch.interfaces import NO_ACK, AuthMode, Handler, Step
from rtserver.sio.namespace.handler import apply_middleware, check_length
from rtserver.sio.namespace.namespace import Namespace

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.compat.interfaces import CompatServer

REFUSED = "Connection rejected by server"


def has_handlers(server: CompatServer, name: str, catch_all: bool = True) -> bool:
    """Whether such handlers exist for a namespace; without `catch_all`, those for "*" do not count."""
    tables = (server.handlers, server.namespace_handlers, server.namespaces)
    return any(name in table or (catch_all and CATCH_ALL in table) for table in tables)


def check_reachable(server: CompatServer, handler_of: Callable[[str], Handler[Any] | None]) -> None:
    """Raise `ValueError` for handlers of a namespace that a `Namespace` class serves: they would never be called.

    `handler_of`: the handler of that class, by the name of the namespace.
    """
    for name in (*server.handlers, *server.namespace_handlers):
        handler = handler_of(name)
        if handler is not None:
            raise ValueError(
                f"handlers are registered for the namespace {name}, which the class {type(handler.namespace).__name__} "
                "serves, so they would never be called: move them into the class, or give one of the two another name"
            )


def compat_handler(server: CompatServer, name: str) -> CompatHandler:
    """The handler for a namespace; raises `Refused` when no handlers exist for it."""
    if not has_handlers(server, name):
        raise Refused("Invalid namespace")
    return LoggingCompatHandler(server, name) if server.logs_calls else CompatHandler(server, name)


class CompatHandler:
    """The handlers that are registered on the server for one namespace."""

    roles: frozenset[str] = frozenset()
    has_connected = False
    has_disconnecting = False
    room_presence = False

    def __init__(self, server: CompatServer, name: str) -> None:
        self._server = server
        self._name = name
        # Handlers for "*" serve any name, which clients choose: they share one label.
        self.label = name if has_handlers(server, name, catch_all=False) else CATCH_ALL
        self.auth: AuthMode = server.compat_auth

    @property
    def namespace(self) -> Namespace:
        raise LookupError(f"{self._name} is handled by python-socketio handlers, not by a Namespace class")

    async def connect(self, client: Client) -> None:
        environ = self._server.environ.get(client.connection.id, {})
        auth = client.handshake.auth
        try:
            result = await self._lifecycle("connect", client, (environ, auth), optional=1)
        except socketio_exceptions.ConnectionRefusedError as error:
            raise _refusal(error.error_args) from None
        except ConnectionRefusedError:
            raise Refused("Connection refused by server") from None
        if result is False:
            raise Refused(REFUSED)

    async def connected(self, client: Client) -> None:
        """No equivalent in python-socketio."""

    async def disconnecting(self, client: Client, reason: str) -> None:
        """No equivalent in python-socketio."""

    async def disconnect(self, client: Client, reason: str) -> None:
        await self._lifecycle("disconnect", client, (reason,), optional=1)

    async def event(self, client: Client, args: list[Any]) -> Any:
        self._check(client, args)
        return await self._handle(client, args)

    async def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Any:
        self._check(client, args)
        args = await apply_middleware(steps, args)
        return await self._handle(client, args) if client.connected else NO_ACK

    def _check(self, client: Client, args: list[Any]) -> None:
        self._server.event_limiter.check(client, CATCH_ALL)
        check_length(client, args[0])

    async def _handle(self, client: Client, args: list[Any]) -> Any:
        name = args[0] if isinstance(args[0], str) else str(args[0])
        if name == CATCH_ALL:
            # A catch-all handler found by this name would take the client's arguments for the event and the sid.
            return NO_ACK
        function, values = self._server._get_event_handler(name, self._name, (client.id, *args[1:]))
        if function is not None:
            try:
                return await _call(function, values)
            except TypeError:
                fitting = _fitting(function, values)
                if fitting is None:
                    raise
            return await _call(function, fitting)
        handler, values = self._server._get_namespace_handler(self._name, (client.id, *args[1:]))
        if handler is None or not _has_method(handler, name):
            return NO_ACK
        try:
            return await handler.trigger_event(name, *values)
        except TypeError:
            fitting = _fitting(getattr(handler, f"on_{name}", None), values)
            if fitting is None:
                raise
        return await handler.trigger_event(name, *fitting)

    async def _lifecycle(self, name: str, client: Client, extra: tuple[Any, ...], optional: int) -> Any:
        """Call a lifecycle handler; handlers may lack the last `optional` arguments, as in older versions."""
        function, values = self._server._get_event_handler(name, self._name, (client.id, *extra))
        if function is None:
            handler, values = self._server._get_namespace_handler(self._name, (client.id, *extra))
            if handler is None:
                return None
            if type(handler).trigger_event is not AsyncNamespace.trigger_event:
                return await handler.trigger_event(name, *values)
            function = getattr(handler, f"on_{name}", None)
            if function is None:
                return None
        return await _call(function, values[: len(values) - _surplus(function, len(values), optional)])


class LoggingCompatHandler(CompatHandler):
    """Logs each event that comes, for `logger=True`. Names are quoted, as clients choose them."""

    def _check(self, client: Client, args: list[Any]) -> None:
        super()._check(client, args)
        self._server.logger.info("received event %.100r from %s [%.100r]", args[0], client.id, self._name)


def _call(function: Callable[..., Any], values: Any) -> Any:
    async def run() -> Any:
        result = function(*values)
        return await result if inspect.isawaitable(result) else result

    return run()


def _fitting(function: Callable[..., Any] | None, values: Sequence[Any]) -> Sequence[Any] | None:
    """The arguments without the surplus, if that is only None; None if not, or if the TypeError has another cause.

    A function that takes fewer was not entered, so it may be called again. A wrapper that takes any number was: hence
    not the signature of what it wraps.
    """
    if function is None:
        return None
    surplus = _surplus(function, len(values), len(values), follow_wrapped=False)
    kept, dropped = values[: len(values) - surplus], values[len(values) - surplus :]
    return kept if dropped and all(value is None for value in dropped) else None


def _surplus(function: Callable[..., Any], count: int, optional: int, *, follow_wrapped: bool = True) -> int:
    """How many of the last `optional` of `count` arguments the function does not accept."""
    parameters = inspect.signature(function, follow_wrapped=follow_wrapped).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters):
        return 0
    accepted = sum(
        parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        for parameter in parameters
    )
    return min(optional, max(0, count - accepted))


def _has_method(handler: Any, name: str) -> bool:
    """Whether a class-based namespace handles an event."""
    if type(handler).trigger_event is not AsyncNamespace.trigger_event:
        return True
    return callable(getattr(handler, f"on_{name}", None))


def _refusal(error_args: Any) -> Refused:
    """`ConnectionRefusedError("message", data)` of python-socketio as `Refused`."""
    if not isinstance(error_args, dict):
        return Refused(str(error_args))
    refused = Refused(str(error_args.get("message", REFUSED)))
    data = error_args.get("data")
    if data is not None:
        refused.data = data
    return refused
