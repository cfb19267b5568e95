"""Peers of a bus: how many servers listen to a channel that all of them have, and whether all are back after an outage.

A message that is published while a peer has not subscribed again is lost to it, and nothing says so. So the number of
listeners is remembered while all is well; after a reconnect, publishing waits until there are as many again.

1. The wait is bounded by `PATIENCE`: a peer that does not come back has died.
2. Without the right to ask (PUBSUB), nothing is counted and nothing waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from redis.exceptions import ResponseError

from rtserver.cluster.redis.subscriber import Kind
from rtserver.errors import Unavailable

PATIENCE = 2.0
PAUSE = 0.02
"""Seconds: how long to wait for the peers, and between two questions."""

Channel = tuple[Kind, str]


class Peers:
    """`channel()` returns the channel that all servers have; `count(channel)` asks for the number of its listeners."""

    def __init__(self, channel: Callable[[], Channel | None], count: Callable[[Channel], Awaitable[int]]) -> None:
        self._channel, self._count = channel, count
        self._known = 0
        self._may_ask = True
        self._waiting = False

    async def measure(self) -> None:
        """Remember the number of listeners; call it while this server is subscribed itself."""
        found = await self._ask()
        if found is not None and not self._waiting:
            self._known = found

    async def heard(self) -> bool:
        """Wait until as many listen as before; return whether they do."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        self._waiting = True
        try:
            while self._known and (found := await self._ask()) is not None and found < self._known:
                if loop.time() >= deadline:
                    self._known = found
                    return False
                await asyncio.sleep(PAUSE)
            return True
        finally:
            self._waiting = False

    async def _ask(self) -> int | None:
        channel = self._channel()
        if channel is None or not self._may_ask:
            return None
        try:
            return await self._count(channel)
        except Unavailable as error:
            self._may_ask = not isinstance(error.__cause__, ResponseError)
            return None
