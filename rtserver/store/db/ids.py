"""Record ids: 26 characters, globally unique, sorted by time of creation. Like a ULID, in another alphabet.

An id is 48 bits of milliseconds and 80 random bits, in base32hex, whose letters sort like their values.
"""

from __future__ import annotations

import os
from base64 import b32hexencode

from rtserver.clock import now_ms

_RANDOM_BITS = 80


class Ids:
    """A generator of ids: a call returns the next id. The ids of one generator rise, also within a millisecond."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def __call__(self) -> str:
        fresh = now_ms() << _RANDOM_BITS | int.from_bytes(os.urandom(_RANDOM_BITS // 8))
        newer = fresh >> _RANDOM_BITS > self._last >> _RANDOM_BITS
        self._last = fresh if newer else self._last + 1
        return b32hexencode(self._last.to_bytes(16)).decode()[:26].lower()
