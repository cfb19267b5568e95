"""Scan of a MessagePack message before it is decoded: its values are counted, and marked where a decoder alone would
be wrong or slow.

1. No object is made of a message with more than `MAX_ITEMS` values. Arrays and maps announce theirs, so these are
   added up. What takes longer counts for more: an array or map as three, a value with a length before it (text of more
   than 31 bytes, a large array) as ten, an extension as twenty.
2. A map of more than 15 entries becomes an array: `MAP`, key, value, key, value. Python's hashes of numbers and tuples
   are known, and a dict of 100,000 keys that collide would block the server for seconds. So the keys of such a map
   become text before they become keys (see `msgpack`).
3. The two ambiguous extensions become `UNDEFINED` and `DATE` (see `msgpack_extensions`). Unknown codes are rejected, so
   that no sender can use the marks.

The scan needs no stack: after the prefix of an array or a map come its items, each with a prefix of its own.
"""

from __future__ import annotations

import re
from typing import NamedTuple, cast

from rtserver.protocol.msgpack_extensions import BUFFER, DATE, MAP, UNDEFINED

MAX_ITEMS = 500_000
SHORT = 100_000
"""A message of no more bytes than this has no more values, whatever they count."""
SMALL_MAP = 15
"""Entries of a map whose keys may collide without harm."""

_TIMESTAMP = 0xFF
_AMBIGUOUS = {0xD4: b"%c" % UNDEFINED, 0xD7: b"%c" % DATE}


class _Form(NamedTuple):
    """How a value begins.

    `items`: how many each unit of its length announces. `size`: its length, if that is fixed. `cost`: for how many
    values it counts beside itself.
    """

    prefix: int
    length_bytes: int = 0
    items: int = 0
    has_code: bool = False
    size: int = 0
    cost: int = 9


_FORMS = {
    0xC4: _Form(2, 1), 0xC5: _Form(3, 2), 0xC6: _Form(5, 4),  # bin
    0xD9: _Form(2, 1), 0xDA: _Form(3, 2), 0xDB: _Form(5, 4),  # str
    0xC7: _Form(3, 1, 0, True, 0, 19), 0xC8: _Form(4, 2, 0, True, 0, 19), 0xC9: _Form(6, 4, 0, True, 0, 19),  # ext
    **{0xD4 + at: _Form(2, 0, 0, True, 2**at, 19) for at in range(5)},  # fixext
    0xDC: _Form(3, 2, 1), 0xDD: _Form(5, 4, 1),  # array
    0xDE: _Form(3, 2, 2), 0xDF: _Form(5, 4, 2),  # map
}  # fmt: skip
_ITEMS = bytes(
    2 + (2 * (byte - 0x80) if byte < 0x90 else byte - 0x90) if 0x80 <= byte < 0xA0 else 0 for byte in range(256)
)
"""What a small array or map counts for beside itself: its items, and the object."""
_SCALARS = (
    rb"(?:[\x00-\x80\x90\xa0\xc0-\xc3\xe0-\xff]|[\xa1\xcc\xd0].|[\xa2\xcd\xd1].{2}|[\xa4\xca\xce\xd2].{4}"
    rb"|[\xa8\xcb\xcf\xd3].{8}|" + b"|".join(b"%c.{%d}" % (0xA0 + size, size) for size in range(3, 32)) + rb")*+"
)
_CONTAINERS = rb"[\x81-\x8f\x91-\x9f]"
_RUN = re.compile(rb"(?:%b%b)*+%b" % (_SCALARS, _CONTAINERS, _SCALARS), re.DOTALL)
"""A run of values whose first byte tells their size; of small arrays and maps, their prefixes."""
_CONTAINER = re.compile(rb"%b(%b++|\Z)" % (_SCALARS, _CONTAINERS), re.DOTALL)
"""In a run: small arrays and maps that are not empty, each with what stands before them; at last, its end."""


def marked(message: bytes) -> bytes:
    """Return the message with its marks; raises `ValueError` for too many values or an unknown extension."""
    pieces: list[bytes] = []
    copied = at = 0
    items, end = 1, len(message)
    while at < end:
        begin = cast("re.Match[bytes]", _RUN.match(message, at)).end()  # it matches, if only nothing
        items += sum(b"".join(_CONTAINER.findall(message, at, begin)).translate(_ITEMS))
        form = _FORMS.get(message[begin]) if begin < end else None
        if form is None:
            break  # the end, or a value that is cut off, which the decoder rejects
        at, begin = begin, begin + form.prefix
        length = form.size or int.from_bytes(message[at + 1 : at + 1 + form.length_bytes], "big")
        items += form.cost + form.items * length
        if items > MAX_ITEMS:
            break
        if form.has_code and begin <= end:
            mark = _marked_code(message[at], message[begin - 1])
            if mark:
                pieces += message[copied : begin - 1], mark
                copied = begin
        elif form.items == 2 and length > SMALL_MAP:
            pieces += message[copied:at], b"\xdd%b\xd4%c\0" % ((2 * length + 1).to_bytes(4, "big"), MAP)
            copied = begin
        at = begin if form.items else begin + length
    if items > MAX_ITEMS:
        raise ValueError("too many values")
    return b"".join((*pieces, message[copied:])) if pieces else message


def _marked_code(first: int, code: int) -> bytes:
    """The code in place of that of an extension; empty if it stays. Raises `ValueError` for an unknown one."""
    if code not in (BUFFER, _TIMESTAMP):
        raise ValueError(f"unknown extension {code}")
    return _AMBIGUOUS.get(first, b"") if code == BUFFER else b""
