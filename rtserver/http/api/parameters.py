"""Path and query parameters, checked against a struct.

Owns the conversion of text to numbers, booleans and lists; must not know their use. A parameter that is not in the
struct is rejected, and so is a parameter that is given twice and is no list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import inspect
from multidict import MultiMapping

from rtserver.errors import InvalidPayload

T = TypeVar("T")

_INTEGER = re.compile(r"(-?[0-9]{1,18})(?:\.0{1,18})?")
_TRUTH = {"true": True, "false": False}


def read_path(parts: Mapping[str, str], shape: type[T]) -> T:
    """Return the path parameters as `shape`; raises `InvalidPayload`."""
    return _convert({name: _value(shape, name, [text]) for name, text in parts.items()}, shape)


def read_query(query: MultiMapping[str], shape: type[T]) -> T:
    """Return the query parameters as `shape`; raises `InvalidPayload`."""
    return _convert({name: _value(shape, name, query.getall(name)) for name in dict.fromkeys(query)}, shape)


def _convert(given: dict[str, Any], shape: type[T]) -> T:
    try:
        return msgspec.convert(given, shape, strict=True)
    except msgspec.ValidationError as error:
        raise InvalidPayload(str(error)) from None


def _value(shape: Any, name: str, texts: list[str]) -> Any:
    kind = _kinds(shape).get(name)
    if kind is None:
        raise InvalidPayload(f"There is no parameter `{name}`")
    if isinstance(kind, inspect.ListType):
        item = _plain(kind.item_type)
        return [_typed(name, text, item) for text in texts]
    if len(texts) > 1:
        raise InvalidPayload(f"`{name}` is given more than once")
    return _typed(name, texts[0], kind)


def _typed(name: str, text: str, kind: inspect.Type) -> Any:
    if isinstance(kind, inspect.IntType):
        whole = _INTEGER.fullmatch(text)
        if whole is None:
            raise InvalidPayload(f"`{name}` must be a whole number")
        return int(whole[1])
    if isinstance(kind, inspect.BoolType):
        if text not in _TRUTH:
            raise InvalidPayload(f"`{name}` must be true or false")
        return _TRUTH[text]
    return text


@cache
def _kinds(shape: Any) -> dict[str, inspect.Type]:
    fields = msgspec.structs.fields(shape)
    return {field.encode_name: _plain(inspect.type_info(field.type)) for field in fields}


def _plain(kind: inspect.Type) -> inspect.Type:
    """Return the type without its description, and without the `None` of an optional parameter."""
    if isinstance(kind, inspect.Metadata):
        return _plain(kind.type)
    if isinstance(kind, inspect.UnionType):
        return _plain(next(_without_none(kind.types)))
    return kind


def _without_none(kinds: Iterable[inspect.Type]) -> Any:
    return (kind for kind in kinds if not isinstance(kind, inspect.NoneType))
