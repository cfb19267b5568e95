"""Strict MessagePack in the dialect of Node's `notepack.io`, from other servers and from clients.

It has no knowledge of messages and packets.

1. Input becomes values that JSON can carry, plus bytes: NaN and the infinities become None, and dates ISO text, as
   with JSON.stringify; map keys become text. Nesting deeper than `max_depth` is rejected.
2. Extension -1 is a date. Extension 0 is an ArrayBuffer, a date or `undefined` (see `msgpack_extensions`). All others
   are rejected.
3. A large map is decoded entry by entry, so that its keys are known to be text or integers before they become keys of
   a dict. With arrays as keys a sender could choose them all with the same hash, and a single message would block the
   server for a minute.
4. Output: integers beyond 64 bit become floats, as in JavaScript; unknown types raise `TypeError`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rtserver.protocol.json import MAX_DEPTH
from rtserver.protocol.msgpack_extensions import AmbiguousExtension, extension, marked, marked_extension

_ATOMS = frozenset({str, int, bool, bytes, type(None)})
"""Types that stay as they are: most values, for which a call each would be wasted."""


class MsgpackError(ValueError):
    """The bytes are not acceptable MessagePack."""


def loads(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strictly; raises `MsgpackError`."""
    try:
        try:
            return _unpacked(_decode, data, max_depth, max_depth)
        except AmbiguousExtension:
            return _unpacked(_decode_marked, marked(data), max_depth, max_depth)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MsgpackError(str(error)) from None


def shaped(shape: Any) -> Callable[[bytes], Any]:
    """Return a fast decoder for messages that nearly always have this type; it returns None if `loads` is needed.

    Values that the type leaves open (`Any`) still have to go through `plain`.
    """
    decode = msgspec.msgpack.Decoder(shape, ext_hook=extension).decode

    def read(data: bytes) -> Any:
        if b"\xde" in data or b"\xdf" in data:
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
_entries = msgspec.msgpack.Decoder(dict[str | int, msgspec.Raw]).decode
_items = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.msgpack.Encoder().encode


def _unpacked(decode: Callable[[bytes], Any], data: bytes, depth: int, limit: int) -> Any:
    """Rule 3; a map of more than 15 entries begins with 0xDE or 0xDF."""
    if b"\xde" not in data and b"\xdf" not in data:
        return _plain(decode(data), depth, limit)
    first = data[0]
    if 0x80 <= first <= 0x8F or first in (0xDE, 0xDF):
        _check(depth, limit)
        entries = _entries(data).items()
        return {_key(key): _unpacked(decode, bytes(item), depth - 1, limit) for key, item in entries}
    if 0x90 <= first <= 0x9F or first in (0xDC, 0xDD):
        _check(depth, limit)
        return [_unpacked(decode, bytes(item), depth - 1, limit) for item in _items(data)]
    return _plain(decode(data), depth, limit)


def _plain(value: Any, depth: int, limit: int) -> Any:
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list:
        if depth <= 0:
            raise _too_deep(limit)
        return [item if type(item) in _ATOMS else _plain(item, depth - 1, limit) for item in value]
    if kind is dict:
        if depth <= 0:
            raise _too_deep(limit)
        return {
            key if type(key) is str else _key(key): item if type(item) in _ATOMS else _plain(item, depth - 1, limit)
            for key, item in value.items()
        }
    if kind is datetime:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _check(depth: int, limit: int) -> None:
    if depth <= 0:
        raise _too_deep(limit)


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
