"""What stands between the packets of one client and its handlers: observers, and middleware for each event.

A client has it only once it asks for it (`client.on_any`, `client.use`): the events of all others take the short way.
Source: `onAny`, `onAnyOutgoing` and `use` of Node, https://socket.io/docs/v4/server-socket-instance/
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.interfaces import Answer, Handler, Step

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.namespace.namespace import Namespace

Observer = Callable[..., object]
"""A plain function of `(event, *args)`."""


class ObservedHandler:
    """The handler of a client that is observed or has middleware of its own."""

    def __init__(self, inner: Handler) -> None:
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
    def namespace(self) -> Namespace:
        return self.inner.namespace

    def event(self, client: Client, args: list[Any]) -> Answer | Coroutine[Any, Any, Any]:
        if self.observers:
            dispatcher.observe(self.observers, client, args)
        return self.inner.filtered(client, args, self.steps) if self.steps else self.inner.event(client, args)

    def filtered(self, client: Client, args: list[Any], steps: Sequence[Step]) -> Coroutine[Any, Any, Any]:
        return self.inner.filtered(client, args, (*steps, *self.steps))


def intercepted(client: Client) -> ObservedHandler:
    """What stands in front of the client's handlers, put there when it is first asked for."""
    if not isinstance(client.handler, ObservedHandler):
        client.handler = ObservedHandler(client.handler)
    return client.handler


def plain(handler: Handler) -> Handler:
    return handler.inner if isinstance(handler, ObservedHandler) else handler


class OutgoingObservers(dict["Client", tuple[Observer, ...]]):
    """Who looks on at what goes to which client."""

    def show(self, clients: Iterable[Client], args: list[Any]) -> None:
        for client in clients:
            observers = self.get(client)
            if observers:
                dispatcher.observe(observers, client, args)


class ObserverMixin:
    """The part of `Client` that lets others look on and step in."""

    __slots__ = ()

    @property
    def _client(self) -> Client:
        return cast("Client", self)

    def use(self, step: Step) -> None:
        """Middleware for this client's events: `step(event, args)`, plain or async, may change or return the arguments,
        or raise an `EventError`, which is the answer. It runs after the rate limit and before the handler."""
        intercepted(self._client).steps += (step,)

    def on_any(self, observer: Observer) -> None:
        """Show every event that comes from this client to `observer(event, *args)`."""
        intercepted(self._client).observers += (_checked(observer),)

    def off_any(self, observer: Observer | None = None) -> None:
        """This observer no more, or none at all."""
        front = intercepted(self._client)
        front.observers = _without(front.observers, observer)

    def on_any_outgoing(self, observer: Observer) -> None:
        """Show every event that goes to this client to `observer(event, *args)`; acks are no events."""
        watched = self._client.server.watched
        watched[self._client] = (*watched.get(self._client, ()), _checked(observer))

    def off_any_outgoing(self, observer: Observer | None = None) -> None:
        watched = self._client.server.watched
        left = _without(watched.pop(self._client, ()), observer)
        if left:
            watched[self._client] = left


def _checked(observer: Observer) -> Observer:
    if inspect.iscoroutinefunction(observer):
        raise TypeError("an observer is a plain function: events do not wait for it")
    return observer


def _without(observers: tuple[Observer, ...], observer: Observer | None) -> tuple[Observer, ...]:
    return () if observer is None else tuple(one for one in observers if one != observer)
