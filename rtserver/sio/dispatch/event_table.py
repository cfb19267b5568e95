"""Event table of a `Namespace` class: from the name of an event to its handler, its arguments and its rate limit.

1. Clients can reach only methods marked with `@event`.
2. Arguments are converted by the annotations first, so a handler never gets a value of another type.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.rate_limit import Rate
from rtserver.sio.dispatch.arguments import Arguments

Function = Callable[..., Any]
Marked = TypeVar("Marked", bound=Function)
CATCH_ALL = "*"
_MARK = "__rtserver_event__"
_SERVER_MARK = "__rtserver_server_event__"


class _ServerDefault:
    """The type of `SERVER_DEFAULT`."""


SERVER_DEFAULT: Final = _ServerDefault()
RateOption = Rate | None | _ServerDefault


@dataclass(frozen=True, slots=True)
class EventMark:
    name: str
    rate: RateOption


def event(
    name: str | None = None, *, rate: str | Rate | _ServerDefault | None = SERVER_DEFAULT
) -> Callable[[Marked], Marked]:
    """Mark a method as the handler of an event.

    `rate` limits the event for each client ("10/s"); None lifts the server's default. `@event("*")` handles all events
    that have no handler of their own, as `(client, name, *args)`.
    """
    if callable(name):
        raise TypeError('write @event("name"), with the name of the event')
    if name in RESERVED_EVENTS:
        raise ValueError(f'"{name}" is a reserved event name')
    limit = Rate.parse(rate) if isinstance(rate, str) else rate

    def mark(function: Marked) -> Marked:
        setattr(function, _MARK, EventMark(name or function.__name__, limit))
        return function

    return mark


def server_event(name: str) -> Callable[[Marked], Marked]:
    """Mark a method as the handler of other servers' `server_side_emit(name, …)`; its return value is the ack."""

    def mark(function: Marked) -> Marked:
        setattr(function, _SERVER_MARK, name)
        return function

    return mark


@dataclass(frozen=True, slots=True)
class EventHandler:
    """The handler of one event. `attribute` is the method's name, so that a subclass can override the method."""

    attribute: str
    rate: RateOption
    arguments: Arguments


def build_table(cls: type) -> dict[str, EventHandler]:
    """The handlers of a class and its bases by event name; the most derived definition wins."""
    table: dict[str, EventHandler] = {}
    for attribute, mark in _marks(cls, _MARK):
        leading = 3 if mark.name == CATCH_ALL else 2
        table[mark.name] = EventHandler(attribute, mark.rate, Arguments(getattr(cls, attribute), leading))
    return table


def build_server_table(cls: type) -> dict[str, str]:
    """The method names of the server event handlers by event name."""
    return {name: attribute for attribute, name in _marks(cls, _SERVER_MARK)}


def _marks(cls: type, mark: str) -> Iterator[tuple[str, Any]]:
    """Each marked method with its mark, bases first. An override need not repeat the decorator."""
    for base in reversed(cls.__mro__):
        own = [attribute for attribute, function in vars(base).items() if hasattr(function, mark)]
        names = {getattr(found := getattr(vars(base)[attribute], mark), "name", found) for attribute in own}
        if len(names) < len(own):
            raise TypeError(f"{base.__qualname__} has two handlers for one event")
        for attribute in own:
            if inspect.isfunction(inspect.getattr_static(cls, attribute)):
                yield attribute, _marked(cls, attribute, mark)


def _marked(cls: type, attribute: str, mark: str) -> Any:
    for base in cls.__mro__:
        function = base.__dict__.get(attribute)
        if function is not None and hasattr(function, mark):
            return getattr(function, mark)
    return None
