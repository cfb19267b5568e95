"""MessagePack extensions of Node's `notepack.io`: buffers, dates and `undefined`, told apart by their length prefix.

notepack uses the extension 0 for three things, in all its versions that peers have:

    fixext 1   undefined            d4 00 00
    fixext 8   Date, milliseconds   d7 00 <int64>
    ext 8–32   ArrayBuffer          c7 08 00 <8 bytes>

A decoder that reports only code and content cannot tell a date from a buffer of eight bytes. So a message that has one
of the two ambiguous lengths is decoded in two steps: `marked` walks over it and gives dates and `undefined` codes of
their own; then it is decoded again by `marked_extension`. Messages without one pay nothing.
Source: `lib/encode.js` and `lib/decode.js` of notepack.io 2.2 and 3.0.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

BUFFER = 0
UNDEFINED = 1
DATE = 2
"""The last two codes exist between `marked` and `marked_extension` only; a sender cannot use them."""

_TIMESTAMP = 0xFF
_FIXEXT_1, _FIXEXT_8 = 0xD4, 0xD7
_AMBIGUOUS_LENGTHS = (1, 8)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_DATE = 8_640_000_000_000_000
"""Milliseconds from the epoch to the first and last moment of a JavaScript Date."""
_CYCLE_YEARS = 400
_CYCLE_MS = 146_097 * 86_400_000
"""The Gregorian calendar repeats itself after so many years, which are so long."""


class AmbiguousExtension(Exception):
    """The message has an extension that is either a buffer or something else."""


def extension(code: int, data: memoryview) -> bytes:
    """Decode an extension of an unmarked message. Raises `AmbiguousExtension`, or `ValueError` for an unknown one."""
    if code != BUFFER:
        raise ValueError(f"unknown extension {code}")
    if len(data) in _AMBIGUOUS_LENGTHS:
        raise AmbiguousExtension
    return bytes(data)


def marked_extension(code: int, data: memoryview) -> bytes | str | None:
    """Decode an extension of a marked message; raises `ValueError` for an unknown one."""
    if code == BUFFER:
        return bytes(data)
    if code == DATE:
        return date_text(int.from_bytes(data, "big", signed=True))
    if code == UNDEFINED:
        return None
    raise ValueError(f"unknown extension {code}")


def marked(message: bytes) -> bytes:
    """Return the message with the codes `UNDEFINED` and `DATE`; raises `ValueError` for an unknown extension.

    The walk needs no stack: after the prefix of an array or a map come its items, each with a prefix of its own.
    """
    result = bytearray(message)
    at, end = 0, len(message)
    while at < end:
        found = _FIXED.match(message, at)
        if found is not None:
            at = found.end()
            continue
        first = message[at]
        prefix, length_at, code_at = _PREFIXES.get(first, (1, 0, 0))
        if code_at and at + code_at < end:
            code = message[at + code_at]
            if code not in (BUFFER, _TIMESTAMP):
                raise ValueError(f"unknown extension {code}")
            if code == BUFFER and first in (_FIXEXT_1, _FIXEXT_8):
                result[at + 1] = UNDEFINED if first == _FIXEXT_1 else DATE
        at += prefix + int.from_bytes(message[at + 1 : at + 1 + length_at], "big")
    return bytes(result)


def date_text(milliseconds: int) -> str | None:
    """Return the date as JSON.stringify does; None for one that JavaScript calls invalid."""
    if abs(milliseconds) > _LAST_DATE:
        return None
    cycles, rest = divmod(milliseconds, _CYCLE_MS)
    moment = _EPOCH + timedelta(milliseconds=rest)
    year = moment.year + cycles * _CYCLE_YEARS
    written = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"
    return f"{written}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


_PREFIXES = {
    0xC4: (2, 1, 0), 0xC5: (3, 2, 0), 0xC6: (5, 4, 0),  # bin
    0xD9: (2, 1, 0), 0xDA: (3, 2, 0), 0xDB: (5, 4, 0),  # str
    0xC7: (3, 1, 2), 0xC8: (4, 2, 3), 0xC9: (6, 4, 5),  # ext
    **{0xD4 + at: (2 + 2**at, 0, 1) for at in range(5)},  # fixext, with its content
}  # fmt: skip
"""The size of the prefix, the size of the length in it, and where the code of an extension is."""
_FIXED = re.compile(
    rb"(?:[\x00-\x9f\xa0\xc0-\xc3\xe0-\xff]|[\xa1\xcc\xd0].|[\xa2\xcd\xd1\xdc\xde].{2}|[\xa4\xca\xce\xd2\xdd\xdf].{4}"
    rb"|[\xa8\xcb\xcf\xd3].{8}|" + b"|".join(b"%c.{%d}" % (0xA0 + size, size) for size in range(3, 32)) + rb")++",
    re.DOTALL,
)
"""A run of values whose size their first byte tells; of arrays and maps, their prefixes."""
