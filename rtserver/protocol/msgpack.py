"""Strict MessagePack, both ways, in the dialect of Node's `notepack.io`.

Owns what rtserver accepts from other servers of the cluster as MessagePack; knows nothing of messages.

1. Coming in, a value becomes what JSON could carry, plus bytes: NaN and the infinities become None and dates
   ISO text, as JSON.stringify makes them; map keys become text; nesting deeper than `MAX_DEPTH` is refused.
2. Extension -1 is a date. Extension 0 is an ArrayBuffer, or (one zero byte) the `undefined` of old servers.
   There is no other.
3. Going out, integers beyond 64 bit become floats, as they are in JS; unknown types raise `TypeError`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rtserver.protocol.json import MAX_DEPTH

_BUFFER = 0


class MsgpackError(ValueError):
    """The bytes are not acceptable MessagePack."""


def loads(data: bytes) -> Any:
    """Parse strictly; raises `MsgpackError`."""
    try:
        return _plain(_decode(data), MAX_DEPTH)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise MsgpackError(str(error)) from None


def dumps(value: Any) -> bytes:
    """Raises `TypeError` for what cannot be sent."""
    try:
        return _encode(value)
    except OverflowError:
        return _encode(_narrowed(value))
    except (UnicodeEncodeError, RecursionError) as error:
        raise TypeError(f"cannot be sent: {error}") from None


def _extension(code: int, data: memoryview) -> Any:
    if code != _BUFFER:
        raise MsgpackError(f"unknown extension {code}")
    content = bytes(data)
    return None if content == b"\x00" else content


_decode = msgspec.msgpack.Decoder(ext_hook=_extension).decode
_encode = msgspec.msgpack.Encoder().encode


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list:
        _check(depth)
        return [_plain(item, depth - 1) for item in value]
    if kind is dict:
        _check(depth)
        return {_key(key): _plain(item, depth - 1) for key, item in value.items()}
    if kind is datetime:
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return value


def _check(depth: int) -> None:
    if depth <= 0:
        raise MsgpackError(f"nested deeper than {MAX_DEPTH} levels")


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
