"""Number keys: how many keys with a known hash a value would bring into the sets and dicts of an annotated type.

Python gives integers, floats, dates, UUIDs and tuples of them hashes that a sender can compute. A set of 50,000 that
collide takes seconds to build, in which nobody is served. The hashes of text and bytes are random. So where a type has
a set or a dict with other keys, the value is measured before it is converted. Types without one cost nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import inspect

from rtserver.protocol.conversion import options

MAX_KEYS = 4096
"""In one argument; colliding ones take some milliseconds."""

_SETS = (inspect.SetType, inspect.FrozenSetType)
_LISTS = (inspect.ListType, inspect.VarTupleType, *_SETS)
_TUPLES = (inspect.TupleType, inspect.NamedTupleType)
_OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_RANDOM = (
    inspect.StrType, inspect.BytesType, inspect.BoolType, inspect.NoneType, inspect.EnumType, inspect.LiteralType,
)  # fmt: skip
"""Keys whose hash is random, or of which there are few."""


def has_number_keys(kind: inspect.Type) -> bool:
    """Whether a type has a set or dict, at any depth, whose keys may collide."""
    seen: list[inspect.Type] = []
    waiting = [kind]
    while waiting:
        for one in options(waiting.pop()):
            if any(one is known for known in seen):
                continue
            seen.append(one)
            if _key_type(one) is not None:
                return True
            waiting.extend(_inner(one))
    return False


def number_keys(value: Any, kind: inspect.Type) -> int:
    """Count the keys that may collide; `value` has not been converted, and may not be of this type."""
    count = 0
    for one in options(kind):
        if isinstance(value, list) and isinstance(one, _LISTS):
            count += len(value) if _key_type(one) is not None else 0
            count += sum(number_keys(item, one.item_type) for item in value)
        elif isinstance(value, list) and isinstance(one, _TUPLES):
            count += sum(number_keys(item, its) for item, its in zip(value, _inner(one), strict=False))
        elif isinstance(value, dict) and isinstance(one, inspect.DictType):
            count += len(value) if _key_type(one) is not None else 0
            count += sum(number_keys(item, one.value_type) for item in value.values())
        elif isinstance(value, dict) and isinstance(one, _OBJECTS):
            count += sum(number_keys(value.get(field.encode_name), field.type) for field in one.fields)
    return count


def _key_type(kind: inspect.Type) -> inspect.Type | None:
    """The type of the keys of a set or dict that may collide."""
    keys = kind.item_type if isinstance(kind, _SETS) else kind.key_type if isinstance(kind, inspect.DictType) else None
    return None if keys is None or all(isinstance(one, _RANDOM) for one in options(keys)) else keys


def _inner(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, _LISTS):
        yield kind.item_type
    elif isinstance(kind, inspect.TupleType):
        yield from kind.item_types
    elif isinstance(kind, inspect.DictType):
        yield kind.value_type
    elif isinstance(kind, (*_OBJECTS, inspect.NamedTupleType)):
        yield from (field.type for field in kind.fields)
