"""The handler table of a `Namespace` class: event name to function, checks and rate.

Only what is marked with `@event` can be reached from outside; the arguments are converted by the annotations before the
function sees them, so a handler never meets a value of a type that it did not ask for.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from rtserver.errors import InvalidPayload
from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.rate import Rate

Function = Callable[..., Any]
CATCH_ALL = "*"
_MARK = "__rtserver_event__"
_SERVER_MARK = "__rtserver_server_event__"


class _ServerDefault:
    """The type of `SERVER_DEFAULT`."""


SERVER_DEFAULT: Final = _ServerDefault()
RateOption = str | Rate | None | _ServerDefault


@dataclass(frozen=True, slots=True)
class EventMark:
    name: str
    rate: RateOption


def event(name: str | None = None, *, rate: str | Rate | _ServerDefault | None = SERVER_DEFAULT) -> Any:
    """Mark a method as the handler of an event.

    `rate` bounds the event per client ("10/s"); None lifts the server's default. `@event("*")` takes what no other
    handler does, as `(client, name, *args)`.
    """
    if callable(name):
        raise TypeError('write @event("name"), with the name of the event')
    if name in RESERVED_EVENTS:
        raise ValueError(f'"{name}" is a reserved event name')

    def mark(function: Function) -> Function:
        setattr(function, _MARK, EventMark(name or function.__name__, _parsed(rate)))
        return function

    return mark


def server_event(name: str) -> Callable[[Function], Function]:
    """Mark a method as the handler of other servers' `server_side_emit(name, …)`; what it returns is the ack."""

    def mark(function: Function) -> Function:
        setattr(function, _SERVER_MARK, name)
        return function

    return mark


def _parsed(rate: RateOption) -> RateOption:
    return Rate.parse(rate) if isinstance(rate, str) else rate


@dataclass(frozen=True, slots=True)
class Entry:
    """One event: `attribute` is the method's name, so that an overridden method of a subclass is the one called."""

    attribute: str
    rate: RateOption
    arguments: Arguments
    is_async: bool


class Arguments:
    """Converts the arguments of an event by the annotations of its handler."""

    __slots__ = ("_parameters", "_required", "_takes_rest")

    def __init__(self, function: Function, leading: int) -> None:
        """`leading` parameters (`self`, `client`, …) are not the client's to fill."""
        hints = typing.get_type_hints(function)
        self._parameters: list[Any] = []
        self._required = 0
        self._takes_rest = False
        for parameter in list(inspect.signature(function).parameters.values())[leading:]:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                self._takes_rest = True
            elif parameter.kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD):
                self._parameters.append(hints.get(parameter.name, Any))
                if parameter.default is inspect.Parameter.empty:
                    self._required = len(self._parameters)

    def convert(self, values: list[Any]) -> list[Any]:
        """Raises `InvalidPayload`. Python defaults fill what is missing at the end."""
        count = len(values)
        if count < self._required:
            raise InvalidPayload(f"Expected {self._required} argument(s), got {count}")
        known = len(self._parameters)
        if count > known and not self._takes_rest:
            raise InvalidPayload(f"Expected at most {known} argument(s), got {count}")
        converted = [
            value if kind is Any else _convert(value, kind, at)
            for at, (value, kind) in enumerate(zip(values, self._parameters, strict=False))
        ]
        return converted + values[known:] if count > known else converted


def _convert(value: Any, kind: Any, at: int) -> Any:
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes, bytearray, memoryview))
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise InvalidPayload(f"Argument {at + 1}: {error}") from None


def build_table(cls: type) -> dict[str, Entry]:
    """Every `@event` of a class and its bases, the most derived definition winning."""
    table: dict[str, Entry] = {}
    for attribute, function in _methods(cls):
        mark: EventMark | None = _marked(cls, attribute, _MARK)
        if mark is not None:
            leading = 3 if mark.name == CATCH_ALL else 2
            table[mark.name] = Entry(
                attribute, mark.rate, Arguments(function, leading), inspect.iscoroutinefunction(function)
            )
    return table


def build_server_table(cls: type) -> dict[str, str]:
    """Name of the server event to name of the method."""
    found = ((_marked(cls, attribute, _SERVER_MARK), attribute) for attribute, _ in _methods(cls))
    return {name: attribute for name, attribute in found if name is not None}


def _methods(cls: type) -> Iterator[tuple[str, Function]]:
    for attribute in dir(cls):
        function = inspect.getattr_static(cls, attribute)
        if inspect.isfunction(function):
            yield attribute, function


def _marked(cls: type, attribute: str, mark: str) -> Any:
    """An override need not repeat the decorator."""
    for base in cls.__mro__:
        function = base.__dict__.get(attribute)
        if function is not None and hasattr(function, mark):
            return getattr(function, mark)
    return None
