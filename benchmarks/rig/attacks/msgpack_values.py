"""Messages of msgpack that are cheap to write and expensive to read: keys that collide, very many values."""

from __future__ import annotations

import random

BITS = 17
"""The dict of the server has so many bits of slots in the end."""
SLOTS = 1 << BITS
FIRST, LATE = 70_000, 4_000
NILS = b"\xdd" + (990_000).to_bytes(4, "big") + b"\xc0" * 990_000
TINY = b"\xdd" + (490_000).to_bytes(4, "big") + b"\x91\xc0" * 489_999 + b"\xa2\xc3\x9e"
"""A list of lists of one, and a text with a byte that could begin a large map."""


def packet(data: bytes) -> bytes:
    """An event with this payload, for the namespace /."""
    return b"\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x" + data


def colliding_keys() -> bytes:
    """A map whose integers make the search for a free slot of CPython's dict as long as possible.

    The search goes from slot to slot in an order that visits all of them. The first keys take a part of this way, one
    slot each. The others begin on that part, and have to go along it to its end.
    """
    way, slot = [], 1
    while len(way) < FIRST:
        way.append(slot)
        slot = (5 * slot + 1) % SLOTS
    place = {slot: at for at, slot in enumerate(way)}
    chosen = random.Random(1)
    late: set[int] = set()
    while len(late) < LATE:
        key = chosen.randrange(SLOTS, 1 << 24)
        slot, perturb = key % SLOTS, key
        while perturb and slot in place:
            perturb >>= 5
            slot = (5 * slot + perturb + 1) % SLOTS
        if place.get(slot, FIRST) < FIRST // 3:
            late.add(key)
    keys = [*way, *late]
    return b"\xdf" + len(keys).to_bytes(4, "big") + b"".join(b"\xce" + key.to_bytes(4, "big") + b"\0" for key in keys)
