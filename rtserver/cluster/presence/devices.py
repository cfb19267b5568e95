"""The devices connected to this server, by user, and the timers of those who have just left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator


class Devices:
    def __init__(self, grace: float, on_gone: Callable[[str], None]) -> None:
        """`on_gone(user)`: `grace` seconds have passed since the last device left, and none came back."""
        self._grace, self._on_gone = grace, on_gone
        self._sids: dict[str, set[str]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def __contains__(self, user: str) -> bool:
        """Whether a device is here, or left within the grace."""
        return user in self._sids or user in self._timers

    def __iter__(self) -> Iterator[str]:
        """The users with a device here."""
        return iter(self._sids)

    def present(self) -> Iterator[str]:
        """The users that count as online: those with a device here, and those within the grace."""
        yield from self._sids
        yield from self._timers

    def __len__(self) -> int:
        return len(self._sids)

    def has(self, user: str) -> bool:
        return user in self._sids

    def count(self, user: str) -> int:
        return len(self._sids.get(user, ()))

    def add(self, user: str, sid: str) -> bool:
        """Whether it is the user's first."""
        sids = self._sids.setdefault(user, set())
        sids.add(sid)
        timer = self._timers.pop(user, None)
        if timer is not None:
            timer.cancel()
        return len(sids) == 1

    def remove(self, user: str, sid: str) -> bool:
        """Whether it was here."""
        sids = self._sids.get(user)
        if sids is None or sid not in sids:
            return False
        sids.discard(sid)
        if sids:
            return True
        del self._sids[user]
        self._timers[user] = asyncio.get_running_loop().call_later(self._grace, self._gone, user)
        return True

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _gone(self, user: str) -> None:
        del self._timers[user]
        self._on_gone(user)
