"""Fair queue: the work on large messages of all connections, one piece in each turn of the event loop.

To parse a message of a megabyte takes milliseconds in which no other client is served, and fifty connections may send
one at the same time. So:

1. A large message waits for its turn before it is decoded. Its connection is not read meanwhile: that slows down the
   sender, and is no error. A connection has one piece of work in the queue, so all of them get the same share.
2. In one iteration of the event loop one piece is done.
3. After a piece that took longer than `FREE_SECONDS`, the queue rests as long as it took: half of the time belongs to
   the small messages, whatever the large ones cost.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")

MAX_MESSAGES = 128
MAX_BYTES = 65_536
"""What one iteration of the event loop delivers of a connection without the queue. A compressed message counts with its
inflated size."""
FREE_SECONDS = 0.003
LONGEST_REST = 1.0


class FairQueue:
    """The queue of one engine."""

    __slots__ = ("_handle", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], object]] = deque()
        self._handle: asyncio.Handle | None = None
        """Of the next turn, or of the end of a rest."""

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, work: Callable[[], object]) -> None:
        """Call `work` when its turn has come, in a later iteration of the event loop."""
        self._waiting.append(work)
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_soon(self._take_turn)

    async def run(self, work: Callable[[], Result]) -> Result:
        """The same, and return what `work` returns or raise what it raises."""
        done: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def settle() -> None:
            if done.done():
                return
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001  # it is raised in `run`
                done.set_exception(error)

        self.put(settle)
        return await done

    def _take_turn(self) -> None:
        if not self._waiting:
            self._handle = None
            return
        # The work may put something into the queue, and `_handle` says that a turn is under way.
        began = time.perf_counter()
        try:
            self._waiting.popleft()()
        finally:
            took = time.perf_counter() - began
            loop = asyncio.get_running_loop()
            if took > FREE_SECONDS:
                self._handle = loop.call_later(min(took, LONGEST_REST), self._take_turn)
            else:
                self._handle = loop.call_soon(self._take_turn) if self._waiting else None

    def close(self) -> None:
        """Do nothing more."""
        self._waiting.clear()
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
