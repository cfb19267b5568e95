"""The arguments of an event: converted by the annotations of its handler, before the handler sees them.

1. What a client sends is either what the annotation asks for or `InvalidPayload`; there is no third outcome.
2. What a handler asks for and cannot be had (a type that msgspec does not know, a required keyword) fails when its
   class is defined, not when the first event comes.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

import msgspec

from rtserver.errors import InvalidPayload

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Arguments:
    __slots__ = ("_exact", "_parameters", "_required", "_takes_rest", "_unchecked")

    def __init__(self, function: Callable[..., Any], leading: int) -> None:
        """`leading` parameters (`self`, `client`, …) are not the client's to fill. Raises `TypeError` by rule 2."""
        parameters = list(inspect.signature(function).parameters.values())
        self._takes_rest = any(parameter.kind is inspect.Parameter.VAR_POSITIONAL for parameter in parameters)
        positional = [parameter for parameter in parameters if parameter.kind in _POSITIONAL]
        name = function.__qualname__
        if len(positional) < leading and not self._takes_rest:
            raise TypeError(f"{name} takes fewer than the {leading} arguments that every handler gets, self included")
        for parameter in parameters:
            if parameter.kind is inspect.Parameter.KEYWORD_ONLY and parameter.default is inspect.Parameter.empty:
                raise TypeError(f"{name}: the keyword {parameter.name!r} can never be filled by an event")
        own = positional[leading:]
        self._parameters = _kinds(function, own)
        self._exact = tuple(_exact(kind) for kind in self._parameters)
        self._unchecked = all(kind is Any for kind in self._parameters)
        self._required = sum(parameter.default is inspect.Parameter.empty for parameter in own)

    def convert(self, values: list[Any]) -> list[Any]:
        """The same list, converted; raises `InvalidPayload`.

        Python defaults fill what is missing at the end; `*args` takes the rest raw.
        """
        count = len(values)
        if count < self._required:
            raise InvalidPayload(f"Expected {self._required} argument(s), got {count}")
        known = len(self._parameters)
        if count > known and not self._takes_rest:
            raise InvalidPayload(f"Expected at most {known} argument(s), got {count}")
        if self._unchecked:
            return values
        for at, exact in enumerate(self._exact[:count]):
            if exact is not None and type(values[at]) is not exact:
                values[at] = _convert(values[at], self._parameters[at], at)
        return values


def _kinds(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> list[Any]:
    """The types asked for. Only these annotations are evaluated: `client` may be typed under TYPE_CHECKING."""
    asked = {p.name: p.annotation for p in parameters if p.annotation is not inspect.Parameter.empty}
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    hints = typing.get_type_hints(types.SimpleNamespace(__annotations__=asked), scope, include_extras=True)
    for name, kind in hints.items():
        try:
            msgspec.json.Decoder(kind)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__}: {name} cannot be checked: {error}") from None
    return [hints.get(parameter.name, Any) for parameter in parameters]


class _Never:
    """No value is of exactly this type: it always needs a look."""


def _exact(kind: Any) -> type | None:
    """The type of values that need no conversion; None where none does."""
    if kind is Any:
        return None
    return kind if kind in (str, int, float, bool) else _Never


def _convert(value: Any, kind: Any, at: int) -> Any:
    try:
        return msgspec.convert(value, kind, builtin_types=(bytes, bytearray, memoryview), str_keys=True)
    # TypeError and ValueError: a set of lists, a Struct's own check. A type that cannot be is found at definition.
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidPayload(f"Argument {at + 1}: {error}") from None
