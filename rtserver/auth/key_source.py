"""Where the keys come from that a token may be verified with. Does not know what a token says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from rtserver.keys import Key


class KeySource(Protocol):
    """Chooses keys by a token's header, which nobody has vouched for: its `kid` may only pick among trusted keys."""

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        """The keys to try, in order; empty where there are none. May fetch them; raises only `Refused`."""
        ...


class FixedKeys:
    """Keys that were configured; a key is tried for the algorithms that it carries."""

    def __init__(self, keys: Iterable[Key]) -> None:
        self._keys = tuple(keys)

    async def keys_for(self, header: Mapping[str, Any]) -> Sequence[Key]:
        return self._keys
