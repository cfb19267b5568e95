"""Unread answers: what a client has not read yet of the answers on one HTTP connection.

A poll takes the queue of its session, so from then on what it took waits for the connection instead. It is counted and
bounded in the same way (see `rtserver.engine.session.backpressure`). An object exists only while the transport has more
than its high-water mark buffered: a single byte, where aiohttp answers.
"""

from __future__ import annotations

import asyncio

from rtserver.engine.session.in_transit import in_transit
from rtserver.engine.session.interfaces import EngineContext


class UnreadAnswers:
    """It implements `Waiter`."""

    __slots__ = ("_engine", "_transport")

    can_take = True
    uncounted = 0

    def __init__(self, engine: EngineContext, transport: asyncio.Transport) -> None:
        """Count what is buffered now; called by the transport's protocol when writing should pause."""
        self._engine = engine
        self._transport = transport
        engine.backpressure.count(self, self.waiting)

    @property
    def waiting(self) -> int:
        return self._transport.get_write_buffer_size()

    @property
    def in_transit(self) -> int:
        return in_transit(self._transport)

    @property
    def closed(self) -> bool:
        return self._transport.is_closing()

    def close_as_slow(self) -> None:
        """Abort the connection; its session, if it is still open, is ended by its heartbeat."""
        self._engine.slow_client("")
        self.forget()
        self._transport.abort()

    def forget(self) -> None:
        """They have been read, or the connection is lost."""
        self._engine.backpressure.remove(self)
