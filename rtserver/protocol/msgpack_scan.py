"""Scan of a MessagePack message before it is decoded: its values are counted, and marked where a decoder alone would
be wrong or slow.

1. No object is made of a message with more than `MAX_ITEMS` values. Arrays and maps announce theirs, so these are
   added up. A value whose length stands before it (text of more than 31 bytes, a large array) counts as four, as it
   costs a step here; an extension counts as eight, as it costs a call.
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

MAX_ITEMS = 200_000
"""A message of no more bytes than this has no more values."""
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
    cost: int = 3


_NONE = _Form(0, cost=0)
"""Of a value that is part of a run."""
_FORMS = {
    0xC4: _Form(2, 1), 0xC5: _Form(3, 2), 0xC6: _Form(5, 4),  # bin
    0xD9: _Form(2, 1), 0xDA: _Form(3, 2), 0xDB: _Form(5, 4),  # str
    0xC7: _Form(3, 1, 0, True, cost=7), 0xC8: _Form(4, 2, 0, True, cost=7), 0xC9: _Form(6, 4, 0, True, cost=7),  # ext
    **{0xD4 + at: _Form(2, 0, 0, True, 2**at, cost=7) for at in range(5)},  # fixext
    0xDC: _Form(3, 2, 1), 0xDD: _Form(5, 4, 1),  # array
    0xDE: _Form(3, 2, 2), 0xDF: _Form(5, 4, 2),  # map
}  # fmt: skip
_ITEMS = bytes(2 * (byte - 0x80) if 0x80 <= byte < 0x90 else byte - 0x90 if 0x90 <= byte < 0xA0 else 0
               for byte in range(256))  # fmt: skip
"""The items that a value of one byte announces."""
_RUN = re.compile(
    rb"([\x00-\xa0\xc0-\xc3\xe0-\xff]*+)"
    rb"(?:[\x00-\x80\x90\xa0\xc0-\xc3\xe0-\xff]|[\xa1\xcc\xd0].|[\xa2\xcd\xd1].{2}|[\xa4\xca\xce\xd2].{4}"
    rb"|[\xa8\xcb\xcf\xd3].{8}|" + b"|".join(b"%c.{%d}" % (0xA0 + size, size) for size in range(3, 32)) + rb")*+",
    re.DOTALL,
)
"""A run of values of one byte, in the group, and of more values whose size their first byte tells. In the second part
no value announces items."""


def marked(message: bytes) -> bytes:
    """Return the message with its marks; raises `ValueError` for too many values or an unknown extension."""
    pieces: list[bytes] = []
    copied = at = steps = 0
    items, end = 1, len(message)
    while at < end:
        run = cast("re.Match[bytes]", _RUN.match(message, at))  # it matches, if only nothing
        items += sum(run[1].translate(_ITEMS))
        start, at = at, run.end()
        form = _FORMS.get(message[at], _NONE) if at < end else _NONE
        begin = at + form.prefix
        length = form.size or int.from_bytes(message[at + 1 : at + 1 + form.length_bytes], "big")
        items += form.cost + form.items * length
        steps += 1
        # After more steps than values these stand behind the end of the message, which the decoder would reject.
        if items > MAX_ITEMS or steps > items:
            raise ValueError("too many values")
        if form.has_code and begin <= end:
            mark = _marked_code(message[at], message[begin - 1])
            if mark:
                pieces += message[copied : begin - 1], mark
                copied = begin
        elif form.items == 2 and length > SMALL_MAP:
            pieces += message[copied:at], b"\xdd%b\xd4%c\0" % ((2 * length + 1).to_bytes(4, "big"), MAP)
            copied = begin
        if begin == start:
            break  # a value that is cut off, which the decoder rejects
        at = begin if form.items else begin + length
    return b"".join((*pieces, message[copied:])) if pieces else message


def _marked_code(first: int, code: int) -> bytes:
    """The code in place of that of an extension; empty if it stays. Raises `ValueError` for an unknown one."""
    if code not in (BUFFER, _TIMESTAMP):
        raise ValueError(f"unknown extension {code}")
    return _AMBIGUOUS.get(first, b"") if code == BUFFER else b""
