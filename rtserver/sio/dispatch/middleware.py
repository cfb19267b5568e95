"""Event middleware and observers of one client (`client.use`, `client.on_any`, `client.on_any_outgoing`).

A client that uses them gets an `ObservedHandler` in front of its handler. The events of all other clients go to their
handlers directly.
Source: `onAny`, `onAnyOutgoing` and `use` of Node, https://socket.io/docs/v4/server-socket-instance/
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.interfaces import Handler, HandlerResult, Step

if TYPE_CHECKING:
    from rtserver.sio.broadcast.recipient import Recipient
    from rtserver.sio.dispatch.interfaces import ClientContext

Observer = Callable[..., object]
"""A plain function called with `(event, *args)`."""


class ObservedHandler:
    """The handler of a client that has observers or event middleware."""

    def __init__(self, inner: Handler[Any]) -> None:
        self.inner = inner
        self.label = inner.label
        self.auth = inner.auth
        self.roles = inner.roles
        self.has_connected = inner.has_connected
        self.has_disconnecting = inner.has_disconnecting
        self.room_presence = inner.room_presence
        self.connect = inner.connect
        self.connected = inner.connected
        self.disconnecting = inner.disconnecting
        self.disconnect = inner.disconnect
        self.observers: tuple[Observer, ...] = ()
        self.steps: tuple[Step, ...] = ()

    @property
    def namespace(self) -> Any:
        return self.inner.namespace

    def event(self, client: ClientContext, args: list[Any]) -> HandlerResult:
        if self.observers:
            dispatcher.observe(self.observers, client, args)
        return self.inner.filtered(client, args, self.steps) if self.steps else self.inner.event(client, args)

    def filtered(self, client: ClientContext, args: list[Any], steps: Sequence[Step]) -> Coroutine[Any, Any, Any]:
        return self.inner.filtered(client, args, (*steps, *self.steps))


def unwrapped(handler: Handler[Any]) -> Handler[Any]:
    """The namespace's own handler, without observers and middleware of one client."""
    return handler.inner if isinstance(handler, ObservedHandler) else handler


class OutgoingObserverTable(dict["Recipient", tuple[Observer, ...]]):
    """The observers of outgoing events, by client. A dict, so that it is false at no cost while there are none."""

    def show(self, clients: Iterable[Recipient], args: list[Any]) -> None:
        """Call the observers of each client with the event's name and arguments."""
        for client in clients:
            observers = self.get(client)
            if observers:
                dispatcher.observe(observers, client, args)

    def add(self, client: Recipient, observer: Observer) -> None:
        self[client] = (*self.get(client, ()), _checked(observer))

    def remove(self, client: Recipient, observer: Observer | None = None) -> None:
        """Remove one observer of a client; without `observer`, all of them."""
        left = _without(self.pop(client, ()), observer)
        if left:
            self[client] = left


def add_middleware(client: ClientContext, step: Step) -> None:
    """Run `step(event, args)` for each event of the client."""
    _observed(client).steps += (step,)


def add_observer(client: ClientContext, observer: Observer) -> None:
    """Call `observer(event, *args)` for each event that the client sends; raises `TypeError` for an `async def`."""
    _observed(client).observers += (_checked(observer),)


def remove_observer(client: ClientContext, observer: Observer | None) -> None:
    """Remove one observer; without `observer`, all of them."""
    handler = _observed(client)
    handler.observers = _without(handler.observers, observer)


def _observed(client: ClientContext) -> ObservedHandler:
    if not isinstance(client.handler, ObservedHandler):
        client.handler = ObservedHandler(client.handler)
    return client.handler


def _checked(observer: Observer) -> Observer:
    if inspect.iscoroutinefunction(observer):
        raise TypeError("an observer is a plain function: events do not wait for it")
    return observer


def _without(observers: tuple[Observer, ...], observer: Observer | None) -> tuple[Observer, ...]:
    return () if observer is None else tuple(other for other in observers if other != observer)
