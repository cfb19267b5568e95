"""Strict JSON: which text is accepted, and what values are sent as. It has no knowledge of packets.

1. Input: everything that RFC 8259 does not allow is rejected: NaN, Infinity, lone surrogates, trailing commas. So are
   numbers beyond a double. Integers beyond 64 bit become floats, as in JavaScript.
2. Output can always be parsed by JavaScript: NaN and the infinities become null, as with JSON.stringify. Lone
   surrogates and unknown types raise `TypeError` at the emit.
3. Nesting deeper than `max_depth` is rejected, and so are more than `MAX_CONTAINERS` arrays and objects: before
   anything is parsed, as it would take long.
"""

from __future__ import annotations

import json as _stdlib
import math
import re
from array import array
from itertools import accumulate
from typing import Any

import msgspec
import orjson

MAX_DEPTH = 64
MAX_CONTAINERS = 200_000

_OPTIONS = orjson.OPT_NON_STR_KEYS
_loads = orjson.loads
_dumps = orjson.dumps


class JsonError(ValueError):
    """The text is not acceptable JSON."""


def loads(text: str | bytes, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strictly; raises `JsonError`."""
    # A cheap upper bound comes first: text with few brackets cannot be deep.
    if len(text) > max_depth and _brackets(text) > max_depth:
        _check_nesting(text, max_depth)
    try:
        return _loads(text)
    except ValueError as error:
        raise JsonError(str(error)) from None


def loads_mended(text: str, max_depth: int = MAX_DEPTH) -> Any:
    """Parse strictly, but replace lone surrogates written as `\\ud83d` by U+FFFD; raises `JsonError`.

    JSON.stringify writes half an emoji in this way, if a text was cut in the middle of it. A client should not lose its
    connection for that.
    """
    try:
        return loads(text, max_depth)
    except JsonError:
        # Behind an escaped backslash stands no escape. Decoded UTF-8 has no surrogates, so one can hold its place.
        held = text.replace("\\\\", _HELD)
        mended, count = _LONE.subn(r"\\ufffd", held)
        if not count:
            raise
        return loads(mended.replace(_HELD, "\\\\"), max_depth)


_HELD = "\ud800"
_HIGH, _LOW = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE = re.compile(rf"\\u[dD](?:[89abAB][0-9a-fA-F]{{2}}(?!{_LOW})|[c-fC-F][0-9a-fA-F]{{2}}(?<!{_HIGH}{_LOW}))")
"""A lone surrogate. It begins with what is searched fast, and no other escape costs a step."""


def dumps(value: Any) -> bytes:
    """Return compact JSON in UTF-8; raises `TypeError` for a value that cannot be sent."""
    try:
        return _dumps(value, _default, _OPTIONS)
    except TypeError:
        return _dumps_slowly(value)


def dumps_plain(value: Any) -> bytes | None:
    """Return the same for plain JSON values; None if `dumps` is needed: for bytes, unusual keys, large integers."""
    try:
        return _dumps(value, _default)
    except TypeError:
        return None


def _dumps_slowly(value: Any) -> bytes:
    """orjson does not encode integers beyond 64 bit."""
    try:
        text = _stdlib.dumps(
            finite(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_finite_default
        )
        return text.encode()
    except UnicodeEncodeError as error:
        raise TypeError(f"str is not valid UTF-8: {error.reason}") from None
    except (ValueError, RecursionError) as error:
        raise TypeError(f"cannot be sent: {error}") from None


def finite(value: Any) -> Any:
    """Return the value with None in place of NaN and the infinities, as JSON.stringify does."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def _finite_default(value: Any) -> Any:
    return finite(_default(value))


def _default(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError("bytes have no JSON form; they travel as attachments")
    return msgspec.to_builtins(value, builtin_types=(bytes, bytearray))


def _brackets(text: str | bytes) -> int:
    if isinstance(text, str):
        return text.count("[") + text.count("{")
    return text.count(b"[") + text.count(b"{")


def _check_nesting(text: str | bytes, max_depth: int) -> None:
    """Check rule 3 before anything is parsed; exact for valid JSON. Raises `JsonError`.

    Each step is one call for the whole text, and none of them needs a stack.
    """
    raw = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    outside_strings = b"".join(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2])
    steps = array("b", outside_strings.translate(_STEPS, _NO_BRACKETS))
    if max(accumulate(steps), default=0) > max_depth:
        raise JsonError(f"nested deeper than {max_depth} levels")
    if steps.count(1) > MAX_CONTAINERS:
        raise JsonError("too many arrays and objects")


_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))
