"""User queue: expensive reads, one at a time for each user, so that nobody takes the connections of all others.

1. One read of a user runs at a time, over all sockets of the user on this server: the next one waits for it.
2. `waiting` reads of a user may wait; beyond that `RateLimited` is raised, before anything is done.
3. `concurrent` reads of all users run at once. Users take turns: of each only one competes for them.
4. A read that has waited for `seconds` raises `Unavailable`, so that a client is answered in any case.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from rtserver.errors import RateLimited, Unavailable

RETRY_SECONDS = 1.0


class _Reads:
    """The reads of one user: how many there are, and the lock that the running one holds."""

    __slots__ = ("count", "lock")

    def __init__(self) -> None:
        self.count = 0
        self.lock = asyncio.Lock()


class UserQueue:
    """`async with queue.turn(user)`: waits until a read of `user` may run."""

    def __init__(self, *, concurrent: int, waiting: int, seconds: float) -> None:
        self._running = asyncio.Semaphore(concurrent)
        self._waiting = waiting
        self._seconds = seconds
        self._users: dict[str, _Reads] = {}

    def __len__(self) -> int:
        """The number of users whose reads run or wait."""
        return len(self._users)

    @asynccontextmanager
    async def turn(self, user: str) -> AsyncIterator[None]:
        """Raises `RateLimited` where too many reads of `user` wait, and `Unavailable` after `seconds`."""
        mine = self._users.setdefault(user, _Reads())
        if mine.count > self._waiting:
            raise RateLimited(RETRY_SECONDS, "Too many requests of this kind at once; wait for their answers")
        mine.count += 1
        try:
            async with AsyncExitStack() as held:
                try:
                    async with asyncio.timeout(self._seconds):
                        await held.enter_async_context(mine.lock)
                        await held.enter_async_context(self._running)
                except TimeoutError:
                    raise Unavailable("Too many requests of this kind are waiting; try again") from None
                yield
        finally:
            mine.count -= 1
            if not mine.count:
                del self._users[user]
