"""Answer size: how many bytes one answer has at most, and which items of a list fit into it.

Pages are bounded by a number of items, but memory and time go by bytes: a hundred long messages weigh as much as ten
thousand short ones. So every answer ends at `ANSWER_BYTES`, too, and says how to ask for the rest.

1. Bytes are those of the JSON that the items become.
2. A first item that is larger than the limit goes all the same: otherwise nobody could read past it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

ANSWER_BYTES = 512_000
"""Bytes of the items of one answer."""

Item = TypeVar("Item")
_encode = msgspec.json.Encoder(enc_hook=str).encode


def size_of(value: Any) -> int:
    """The bytes of `value` as JSON."""
    return len(_encode(value))


def fitting(items: Sequence[Item], room: int = ANSWER_BYTES, *, oversized: bool = True) -> Sequence[Item]:
    """The first of `items` that take at most `room` bytes together.

    `oversized`: at least one item, whatever its size (rule 2).
    """
    if not items or size_of(items) <= room:
        return items
    room -= 1
    for count, item in enumerate(items):
        room -= size_of(item) + 1
        if room < 0:
            return items[: max(count, int(oversized))]
    return items
