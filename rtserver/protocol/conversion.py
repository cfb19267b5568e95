"""Conversion of decoded values to annotated types: exact types first, then what other languages write for the same.

A value that has the type exactly costs nothing more than msgspec's own check. Only when that fails, the value is mended
and checked again:

1. null is a missing field, where the field has a default and its type has no null. Where the type has null, null is a
   value like any other.
2. A whole float is an integer, where an integer is needed: JSON has one kind of number, and PHP, Lua and Go write 50.0.

Nothing else is converted: 50.5, "7" and true are no integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect

BYTES = (bytes, bytearray, memoryview)
"""The types that bytes may have in a decoded value."""
_INTEGERS = range(-(2**63), 2**64)
"""The integers that JSON and MessagePack give; others are floats in both."""
_OBJECTS = (inspect.StructType, inspect.DataclassType, inspect.TypedDictType)
_LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def convert(value: Any, kind: Any) -> Any:
    """Convert to the type; raises `msgspec.ValidationError`, or what a constructor in `kind` raises."""
    try:
        return msgspec.convert(value, kind, builtin_types=BYTES, str_keys=True)
    except msgspec.ValidationError:
        mended = _mended(value, _described(kind))
        if mended is value:
            raise
    return msgspec.convert(mended, kind, builtin_types=BYTES, str_keys=True)


def _described(kind: Any) -> inspect.Type:
    try:
        return _described_once(kind)
    except TypeError:  # a type with metadata that cannot be hashed
        return inspect.type_info(kind)


@cache
def _described_once(kind: Any) -> inspect.Type:
    return inspect.type_info(kind)


def _mended(value: Any, kind: inspect.Type) -> Any:
    """Return the value itself where nothing is to be mended."""
    if type(value) is float:
        return int(value) if _is_whole(value) and _takes_integers(kind) else value
    if type(value) is dict:
        return _mended_object(value, kind)
    if type(value) is list:
        return _mended_list(value, kind)
    return value


def _is_whole(value: float) -> bool:
    return value.is_integer() and int(value) in _INTEGERS


def _takes_integers(kind: inspect.Type) -> bool:
    kinds = list(options(kind))
    if any(isinstance(one, inspect.FloatType | inspect.AnyType) for one in kinds):
        return False
    return any(isinstance(one, inspect.IntType) or int in map(type, _members(one)) for one in kinds)


def _members(kind: inspect.Type) -> Iterable[Any]:
    if isinstance(kind, inspect.LiteralType):
        return kind.values
    return [member.value for member in kind.cls] if isinstance(kind, inspect.EnumType) else ()


def _mended_object(value: dict[Any, Any], kind: inspect.Type) -> dict[Any, Any]:
    for one in options(kind):
        if isinstance(one, inspect.DictType):
            mended = {key: _mended(item, one.value_type) for key, item in value.items()}
            return mended if any(mended[key] is not value[key] for key in value) else value
        if isinstance(one, _OBJECTS) and _is_tagged(value, one):
            return _mended_fields(value, one)
    return value


def _is_tagged(value: dict[Any, Any], kind: inspect.Type) -> bool:
    """Whether the object is of this type; of several in a union, each has its tag."""
    return getattr(kind, "tag_field", None) is None or value.get(kind.tag_field) == kind.tag  # type: ignore[attr-defined]


def _mended_fields(value: dict[Any, Any], kind: Any) -> dict[Any, Any]:
    changed: dict[Any, Any] = {}
    missing = []
    for field in kind.fields:
        if field.encode_name not in value:
            continue
        item = value[field.encode_name]
        if item is None:
            if not field.required and not _takes_null(field.type):
                missing.append(field.encode_name)
        elif (mended := _mended(item, field.type)) is not item:
            changed[field.encode_name] = mended
    if not changed and not missing:
        return value
    return {name: item for name, item in {**value, **changed}.items() if name not in missing}


def _takes_null(kind: inspect.Type) -> bool:
    return any(isinstance(one, inspect.NoneType | inspect.AnyType) for one in options(kind))


def _mended_list(value: list[Any], kind: inspect.Type) -> Any:
    for one in options(kind):
        if isinstance(one, inspect.AnyType):
            return value
        if isinstance(one, (*_LISTS, inspect.TupleType)):
            kinds = one.item_types if isinstance(one, inspect.TupleType) else [one.item_type] * len(value)
            mended = [_mended(item, its) for item, its in zip(value, kinds, strict=False)]
            same = len(mended) != len(value) or all(new is old for new, old in zip(mended, value, strict=True))
            return value if same else mended
    return value


def options(kind: inspect.Type) -> Iterator[inspect.Type]:
    """The types of a union, without their descriptions; of any other type, itself."""
    if isinstance(kind, inspect.Metadata):
        yield from options(kind.type)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from options(one)
    else:
        yield kind
