"""Corking: frames written during one event-loop iteration are flushed together at its end.

Most of the cost of sending a small frame is the system call. A client that gets ten events within one event-loop
iteration (from ten handlers, or from ten messages of one read of the Redis connection) should cost one `send`, not
ten. The term is from TCP: `TCP_CORK` holds partial segments back in the same way. Corking everything would cost the
many clients that get a single frame a list and a second visit, so it begins with the second frame:

1. An iteration has a number, `current_iteration`. The first broadcast frame of an iteration is sent directly, and the
   session notes the number in `sent_at` (`rtserver.sio.broadcast.fanout`).
2. A frame for a session that has the current number already is corked: `corked_write` collects it and registers the
   writer here with `uncork_at_end`. Further frames of any kind for that session join it, so the order is kept.
3. At the end of the iteration every registered writer is flushed: its frames leave in one `send`.
4. The number costs nothing in an iteration that does not ask for it. The first call of `current_iteration` schedules
   the end by `call_soon`; it runs in the next pass of the loop, behind all callbacks that were ready in this one.
5. Used as a context manager, the block counts as one iteration, which ends with it. So a batch of messages from Redis
   is flushed before the next batch is read. Inside an iteration that has begun already the block has no effect.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class CorkedWriter(Protocol):
    """Implemented by `WebSocketWriter`; called at the end of an iteration."""

    def flush(self) -> None: ...


class Cork:
    """The iteration counter of one event loop, and the writers to flush at the end of the current iteration."""

    __slots__ = ("_end_due", "_number", "_within_block", "_writers")

    def __init__(self) -> None:
        self._number = 1
        self._end_due = False
        self._within_block = False
        self._writers: list[CorkedWriter] = []

    def __enter__(self) -> None:
        if not self._end_due:
            self._end_due = self._within_block = True

    def __exit__(self, *_: object) -> None:
        if self._within_block:
            self._within_block = False
            self._end()

    def current_iteration(self) -> int:
        """Return the number of this iteration, and have it end."""
        if not self._end_due:
            self._end_due = True
            asyncio.get_running_loop().call_soon(self._end)
        return self._number

    def uncork_at_end(self, writer: CorkedWriter) -> None:
        """Flush `writer` at the end of this iteration."""
        self.current_iteration()
        self._writers.append(writer)

    def _end(self) -> None:
        self._end_due = False
        self._number += 1
        writers, self._writers = self._writers, []
        for writer in writers:
            writer.flush()
