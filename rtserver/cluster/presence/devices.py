"""Devices: the connected devices of this server by user, and the grace timers of users whose last device has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator


class Devices:
    def __init__(self, grace: float, on_grace_over: Callable[[str], None]) -> None:
        """`on_grace_over(user)` is called `grace` seconds after the last device left, unless one came back."""
        self._grace, self._on_grace_over = grace, on_grace_over
        self._sids: dict[str, set[str]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, user: str) -> bool:
        """Whether a device is connected, or has left within the grace."""
        return user in self._sids or user in self._timers

    def __iter__(self) -> Iterator[str]:
        """Iterate over the users with a connected device."""
        return iter(self._sids)

    def present(self) -> Iterator[str]:
        """Iterate over the users that count as online: with a connected device, or within the grace."""
        yield from self._sids
        yield from self._timers

    def __len__(self) -> int:
        return len(self._sids)

    def has(self, user: str) -> bool:
        """Whether a device of the user is connected."""
        return user in self._sids

    def count(self, user: str) -> int:
        """Return the number of connected devices of the user."""
        return len(self._sids.get(user, ()))

    def add(self, user: str, sid: str) -> bool:
        """Add a device; return whether it is the user's first."""
        sids = self._sids.setdefault(user, set())
        sids.add(sid)
        timer = self._timers.pop(user, None)
        if timer is not None:
            timer.cancel()
        return len(sids) == 1

    def remove(self, user: str, sid: str) -> bool:
        """Remove a device; return whether it was there."""
        sids = self._sids.get(user)
        if sids is None or sid not in sids:
            return False
        sids.discard(sid)
        if sids:
            return True
        del self._sids[user]
        self._timers[user] = asyncio.get_running_loop().call_later(self._grace, self._expire, user)
        return True

    def stop(self) -> None:
        """Cancel all timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _expire(self, user: str) -> None:
        del self._timers[user]
        self._on_grace_over(user)
