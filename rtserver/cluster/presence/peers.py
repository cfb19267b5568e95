"""The other instances, as the heartbeats saw them: who is to be waited for after Redis has lost its data."""

from __future__ import annotations

from collections.abc import Iterable


class Peers:
    def __init__(self, patience: float) -> None:
        """`patience`: seconds after which one that is not back counts as gone."""
        self._patience = patience
        self._live: frozenset[bytes] = frozenset()
        self._awaited: frozenset[bytes] = frozenset()
        self._until = 0.0

    def seen(self, live: Iterable[bytes], now: float, *, lost_data: bool) -> None:
        """With a heartbeat."""
        before, self._live = self._live, frozenset(live)
        if lost_data:
            self._awaited, self._until = self._awaited | before, now + self._patience
        self._awaited = self._awaited - self._live if now < self._until else frozenset()

    def missing(self, live: Iterable[bytes]) -> bool:
        """Whether one that was there before the loss has not come back yet."""
        return not self._awaited.issubset(live)
