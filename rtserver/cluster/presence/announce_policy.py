"""Decides who is told of: once while Redis works, and never wrongly for good when it does not.

Knows what has become of what this server said; must not know how it was said.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rtserver.cluster.presence.announcer import Announcer
from rtserver.cluster.presence.devices import Devices


class DeviceCount(NamedTuple):
    """`user` has so many devices here; `first`: the first of them has just come."""

    user: str
    devices: int
    first: bool = False


class AnnouncePolicy:
    def __init__(self, devices: Devices, announcer: Announcer) -> None:
        self._devices, self._announcer = devices, announcer
        self._announced: set[str] = set()  # those with a device here whom Redis has heard of
        self._unsaid: set[str] = set()  # left while Redis was down
        self._guessed: set[str] = set()  # of those, the ones told offline

    def heard(self, sayings: Sequence[DeviceCount], fresh: Iterable[str], *, lost_data: bool = False) -> None:
        """Redis has heard them; `fresh` were not online before, as far as it knows."""
        for user in fresh:
            if not (lost_data and user in self._announced):
                self._announcer.tell(user, True)
        for user, devices, _ in sayings:
            if devices:
                self._forget(user)
            if self._devices.has(user):
                self._announced.add(user)
            else:
                self._announced.discard(user)

    def unheard(self, sayings: Iterable[DeviceCount]) -> None:
        """Redis is down: this server tells what it sees itself."""
        for user, devices, first in sayings:
            if not devices:
                self._announced.discard(user)
                if not self._devices.has(user):
                    self._unsaid.add(user)
                continue
            was_told_offline = user not in self._unsaid or user in self._guessed
            self._forget(user)
            if first and was_told_offline and self._devices.has(user):
                self._announcer.tell(user, True)

    def gone(self, users: Iterable[str]) -> None:
        """Redis says that they are offline, and that nobody else has been told so."""
        for user in users:
            if not self._devices.has(user):
                self._announcer.tell(user, False)

    def guess(self, user: str) -> None:
        """The grace is over, and Redis cannot be asked."""
        if user in self._unsaid:
            self._guessed.add(user)
            self._announcer.tell(user, False)

    @property
    def owed(self) -> set[str]:
        """Whom Redis must hear of once more."""
        return self._unsaid - self._guessed

    def settle_up(self) -> set[str]:
        """Everything has been said again; who was told offline by a guess that may have been wrong."""
        guessed, self._guessed, self._unsaid = self._guessed, set(), set()
        return guessed

    def correct(self, users: Iterable[str]) -> None:
        """They are online elsewhere after all."""
        for user in users:
            self._announcer.tell(user, True)

    def _forget(self, user: str) -> None:
        self._unsaid.discard(user)
        self._guessed.discard(user)
