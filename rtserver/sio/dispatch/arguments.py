"""Event arguments: checked and converted by the annotations of the handler, before the handler is called.

1. An argument either becomes a value of the annotated type or raises `InvalidPayload`. What counts as a value of a type
   is decided by `rtserver.protocol.conversion`.
2. Arguments beyond those of the handler are ignored, as in JavaScript. For a parameter that may be left out, null is
   as good as nothing, unless the annotation includes None or is missing; and so is an empty list where an object is
   expected, as PHP and Lua write empty lists and empty objects alike.
3. An argument whose sets and dicts would get more than `MAX_KEYS` keys with a known hash is rejected before they are
   made (see `rtserver.protocol.number_keys`).
4. A handler that cannot be served (a type that msgspec does not know, a required keyword) raises `TypeError` when its
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
from rtserver.protocol.conversion import BYTES, convert
from rtserver.protocol.number_keys import MAX_KEYS, has_number_keys, number_keys

_FAILURES = (msgspec.MsgspecError, TypeError, ValueError, RecursionError, OverflowError)
"""TypeError and ValueError: a set of lists, or a Struct's own check. Unknown types fail at definition."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Arguments:
    """The parameters of one handler that the client fills."""

    __slots__ = ("_defaults", "_exact", "_numbered", "_parameters", "_required", "_takes_rest", "_unchecked")

    def __init__(self, function: Callable[..., Any], leading: int) -> None:
        """The server fills the first `leading` parameters (`self`, `client`, …). Raises `TypeError` by rule 4."""
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
        self._numbered = _numbered(self._parameters)
        self._defaults = tuple(parameter.default for parameter in own)
        self._required = sum(default is inspect.Parameter.empty for default in self._defaults)

    def convert(self, values: list[Any]) -> list[Any]:
        """Convert `values` in place and return it; raises `InvalidPayload`.

        Missing arguments at the end take their Python defaults. `*args` takes the rest unconverted.
        """
        count = len(values)
        if count < self._required:
            raise InvalidPayload(f"Expected {self._required} argument(s), got {count}")
        known = len(self._parameters)
        if count > known and not self._takes_rest:
            del values[known:]
        if self._unchecked:
            return values
        if self._numbered:
            self._check_keys(values)
        for at, exact in enumerate(self._exact[:count]):
            if exact is not None and type(values[at]) is not exact:
                try:
                    values[at] = msgspec.convert(values[at], self._parameters[at], builtin_types=BYTES, str_keys=True)
                except _FAILURES:
                    values[at] = self._mended(values[at], at)
        return values

    def _check_keys(self, values: list[Any]) -> None:
        for at, kind in self._numbered.items():
            if at < len(values) and number_keys(values[at], kind) > MAX_KEYS:
                raise InvalidPayload(f"Argument {at + 1}: more than {MAX_KEYS} numbers as keys")

    def _mended(self, value: Any, at: int) -> Any:
        """The value that the argument stands for, by rule 2 and `conversion`; raises `InvalidPayload`."""
        try:
            return convert(value, self._parameters[at])
        except _FAILURES as error:
            if at >= self._required and (value is None or (value == [] and self._takes_object(at))):
                return self._defaults[at]
            raise InvalidPayload(f"Argument {at + 1}: {error}") from None

    def _takes_object(self, at: int) -> bool:
        try:
            convert({}, self._parameters[at])
        except _FAILURES:
            return False
        return True


def _kinds(function: Callable[..., Any], parameters: list[inspect.Parameter]) -> list[Any]:
    """The annotated types. Other annotations are not evaluated: `client` may be imported under TYPE_CHECKING."""
    annotations = {p.name: p.annotation for p in parameters if p.annotation is not inspect.Parameter.empty}
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    hints = typing.get_type_hints(types.SimpleNamespace(__annotations__=annotations), scope, include_extras=True)
    for name, kind in hints.items():
        try:
            msgspec.json.Decoder(kind)
        except TypeError as error:
            raise TypeError(f"{function.__qualname__}: {name} cannot be checked: {error}") from None
    return [hints.get(parameter.name, Any) for parameter in parameters]


def _numbered(kinds: list[Any]) -> dict[int, msgspec.inspect.Type]:
    """The parameters, by their places, that may bring keys with a known hash."""
    described = {at: msgspec.inspect.type_info(kind) for at, kind in enumerate(kinds)}
    return {at: kind for at, kind in described.items() if has_number_keys(kind)}


class _Never:
    """No value is of exactly this type, so every value is converted."""


def _exact(kind: Any) -> type | None:
    """The type whose values need no conversion; None when no value needs one."""
    if kind is Any:
        return None
    return kind if kind in (str, int, float, bool) else _Never
