"""Strict MessagePack in the dialect of Node's `notepack.io`, from other servers and from clients.

It has no knowledge of messages and packets.

1. Input becomes values that JSON can carry, plus bytes: NaN and the infinities become None, and dates ISO text, as
   with JSON.stringify; map keys become text. Nesting deeper than `max_depth` is rejected.
2. Extension -1 is a date. Extension 0 is an ArrayBuffer, a date or `undefined` (see `msgpack_extensions`). All others
   are rejected.
3. A message of more than `MAX_ITEMS` values is rejected. The keys of a large map become text before they become keys of
   a dict: the hash of text is random, those of integers and arrays a sender can choose (see `msgpack_scan`).
4. Output: integers beyond 64 bit become floats, as in JavaScript; unknown types raise `TypeError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec

from rtserver.protocol.json import MAX_DEPTH
from rtserver.protocol.msgpack_extensions import MARK_OF_A_MAP, AmbiguousExtension, extension, marked_extension
from rtserver.protocol.msgpack_scan import SHORT, marked

_ATOMS = frozenset({str, int, bool, bytes, type(None)})
"""Types that stay as they are: most values, for which a call each would be wasted."""
_TEXT = frozenset({str})


class MsgpackError(ValueError):
    """The bytes are not acceptable MessagePack."""


def loads(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strictly; raises `MsgpackError`."""
    try:
        if len(data) <= SHORT and b"\xde" not in data and b"\xdf" not in data:
            try:
                return _plain(_decode(data), max_depth, max_depth)
            except AmbiguousExtension:
                pass
        return _plain(_decode_marked(marked(data)), max_depth, max_depth)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MsgpackError(str(error)) from None


def shaped(shape: Any) -> Callable[[bytes], Any]:
    """Return a fast decoder for messages that nearly always have this type; it returns None if `loads` is needed.

    Values that the type leaves open (`Any`) still have to go through `plain`.
    """
    decode = msgspec.msgpack.Decoder(shape, ext_hook=extension).decode

    def read(data: bytes) -> Any:
        if len(data) > SHORT or b"\xde" in data or b"\xdf" in data:
            return None
        try:
            return decode(data)
        except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, AmbiguousExtension):
            return None

    return read


def plain(value: Any, depth: int, max_depth: int = MAX_DEPTH) -> Any:
    """Apply rule 1 to a value nested in `depth` others; raises `MsgpackError`."""
    return _plain(value, max_depth - depth, max_depth)


def dumps(value: Any) -> bytes:
    """Return MessagePack; raises `TypeError` for a value that cannot be sent."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode(_narrowed(value))
    except (UnicodeEncodeError, RecursionError) as error:
        raise TypeError(f"cannot be sent: {error}") from None


_decode = msgspec.msgpack.Decoder(ext_hook=extension).decode
_decode_marked = msgspec.msgpack.Decoder(ext_hook=marked_extension).decode
_encode = msgspec.msgpack.Encoder().encode


def _plain(value: Any, depth: int, limit: int) -> Any:
    """Apply rule 1 to a value that has just been decoded, and so is nobody else's: lists and dicts are changed."""
    kind = type(value)
    if kind is list:
        if depth <= 0:
            raise _too_deep(limit)
        # Most lists are left as they are, and this tells so without a step for each item.
        if _ATOMS.issuperset(map(type, value)):
            return value
        if value[0] is MARK_OF_A_MAP:
            return _plain(dict(zip(map(_key, value[1::2]), value[2::2], strict=True)), depth, limit)
        for at, item in enumerate(value):
            if type(item) not in _ATOMS:
                value[at] = _plain(item, depth - 1, limit)
    elif kind is dict:
        if depth <= 0:
            raise _too_deep(limit)
        if not _TEXT.issuperset(map(type, value)):
            value = {_key(key): item for key, item in value.items()}
        if _ATOMS.issuperset(map(type, value.values())):
            return value
        for key, item in value.items():
            if type(item) not in _ATOMS:
                value[key] = _plain(item, depth - 1, limit)
    elif kind is float:
        return value if math.isfinite(value) else None
    elif kind is datetime:
        return f"{value.isoformat(timespec='milliseconds')[:-6]}Z"  # it is in UTC
    return value


def _too_deep(limit: int) -> MsgpackError:
    return MsgpackError(f"nested deeper than {limit} levels")


def _key(key: Any) -> str:
    if type(key) is str:
        return key
    if type(key) is int:
        return str(key)
    raise MsgpackError("a map key is neither text nor an integer")


def _narrowed(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        try:
            return float(value)
        except OverflowError:
            return None
    if isinstance(value, Mapping):
        return {key: _narrowed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_narrowed(item) for item in value]
    return value
