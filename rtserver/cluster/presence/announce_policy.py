"""Announce policy: which online and offline changes this instance announces.

1. While Redis works, each change is announced exactly once in the cluster: Redis decides by which instance.
2. Without Redis, this instance announces what it sees itself: the first device that comes, and, after the grace, the
   last one that has left. It cannot know of other devices of the user on other instances, so that is a guess.
3. When Redis is back, everything is reported again, and a wrong guess is corrected. A change may then have been
   announced twice, but no wrong state remains.

Knows what has become of the reports of this instance; does not know how they are sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rtserver.cluster.presence.announcer import Announcer
from rtserver.cluster.presence.devices import Devices


class DeviceCount(NamedTuple):
    """A report: `user` has so many devices on this instance. `first`: the first of them has just come."""

    user: str
    devices: int
    first: bool = False


class AnnouncePolicy:
    def __init__(self, devices: Devices, announcer: Announcer) -> None:
        self._devices, self._announcer = devices, announcer
        self._reported: set[str] = set()  # users with a device here that Redis knows of
        self._unreported: set[str] = set()  # users that left while Redis was down
        self._guessed: set[str] = set()  # those of them that were announced offline

    def on_reported(self, counts: Sequence[DeviceCount], fresh: Iterable[str], *, lost_data: bool = False) -> None:
        """Redis has saved these counts. `fresh`: users that were not online before, as far as Redis knows.

        After Redis has lost its data it takes all users for new; those that it knew before are not announced again.
        """
        for user in fresh:
            if not (lost_data and user in self._reported):
                self._announcer.announce(user, True)
        for user, devices, _ in counts:
            if devices:
                self._forget(user)
            if self._devices.has(user):
                self._reported.add(user)
            else:
                self._reported.discard(user)

    def on_unreported(self, counts: Iterable[DeviceCount]) -> None:
        """Redis is down, so these counts were not saved: announce what this instance sees itself."""
        for user, devices, first in counts:
            if not devices:
                self._reported.discard(user)
                if not self._devices.has(user):
                    self._unreported.add(user)
                continue
            was_offline = user not in self._unreported or user in self._guessed
            self._forget(user)
            if first and was_offline and self._devices.has(user):
                self._announcer.announce(user, True)

    def on_gone(self, users: Iterable[str]) -> None:
        """Redis has set these users offline, and told no other instance."""
        for user in users:
            if not self._devices.has(user):
                self._announcer.announce(user, False)

    def guess_offline(self, user: str) -> None:
        """The grace of the user is over, and Redis cannot be asked."""
        if user in self._unreported:
            self._guessed.add(user)
            self._announcer.announce(user, False)

    @property
    def unreported(self) -> set[str]:
        """Users without a device here that must be reported once Redis is back."""
        return self._unreported - self._guessed

    def take_guesses(self) -> set[str]:
        """Note that everything was reported again; return the users whose guess may have been wrong."""
        guessed, self._guessed, self._unreported = self._guessed, set(), set()
        return guessed

    def correct(self, users: Iterable[str]) -> None:
        """These guesses were wrong: the users are online on other instances."""
        for user in users:
            self._announcer.announce(user, True)

    def _forget(self, user: str) -> None:
        self._unreported.discard(user)
        self._guessed.discard(user)
