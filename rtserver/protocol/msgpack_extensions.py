"""MessagePack extensions of Node's `notepack.io`: buffers, dates and `undefined`, told apart by their length prefix.

notepack uses the extension 0 for three things, in all its versions that peers have:

    fixext 1   undefined            d4 00 00
    fixext 8   Date, milliseconds   d7 00 <int64>
    ext 8–32   ArrayBuffer          c7 08 00 <8 bytes>

A decoder that reports only code and content cannot tell a date from a buffer of eight bytes. So a message that has one
of the two ambiguous lengths is decoded in two steps: `msgpack_scan` gives dates and `undefined` codes of their own;
then it is decoded by `marked_extension`. Messages without one pay nothing.
Source: `lib/encode.js` and `lib/decode.js` of notepack.io 2.2 and 3.0.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

BUFFER = 0
UNDEFINED = 1
DATE = 2
MAP = 3
"""The last three codes exist between `msgpack_scan` and `marked_extension` only; a sender cannot use them."""
MARK_OF_A_MAP = object()
"""The value of `MAP`."""

_AMBIGUOUS_LENGTHS = (1, 8)

_EPOCH = datetime(1970, 1, 1)  # in UTC, as all dates here
_FIRST_PLAIN, _END_PLAIN = -62_167_219_200_000 + 366 * 86_400_000, 253_402_300_800_000
"""Milliseconds from the epoch to the years 1 and 10000, between which a date is written with a year of four digits."""
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


def marked_extension(code: int, data: memoryview) -> Any:
    """Decode an extension of a marked message; raises `ValueError` for an unknown one."""
    if code == BUFFER:
        return bytes(data)
    if code == DATE:
        return date_text(int.from_bytes(data, "big", signed=True))
    if code == UNDEFINED:
        return None
    if code == MAP:
        return MARK_OF_A_MAP
    raise ValueError(f"unknown extension {code}")


def date_text(milliseconds: int) -> str | None:
    """Return the date as JSON.stringify does; None for one that JavaScript calls invalid."""
    if _FIRST_PLAIN <= milliseconds < _END_PLAIN:
        return f"{(_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec='milliseconds')}Z"
    if abs(milliseconds) > _LAST_DATE:
        return None
    cycles, rest = divmod(milliseconds, _CYCLE_MS)
    moment = _EPOCH + timedelta(milliseconds=rest)
    year = moment.year + cycles * _CYCLE_YEARS
    written = f"{year:04}" if 0 <= year <= 9999 else f"{'-' if year < 0 else '+'}{abs(year):06}"
    return f"{written}{moment.isoformat(timespec='milliseconds')[4:]}Z"
