"""Turns of the event loop: what a sender keeps until the end of one leaves there."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rtserver.engine.transports.websocket_writer import WebSocketWriter


class Cork:
    """Counted only where somebody asks. As a context, what is within it is a turn, unless one has begun already."""

    __slots__ = ("_asked", "_holding", "_within", "now")

    def __init__(self) -> None:
        self.now = 1
        self._asked = False
        self._within = False
        self._holding: list[WebSocketWriter] = []

    def __enter__(self) -> None:
        if not self._asked:
            self._asked = self._within = True

    def __exit__(self, *_: object) -> None:
        if self._within:
            self._within = False
            self._end()

    def this(self) -> int:
        """The number of this turn, which will end."""
        if not self._asked:
            self._asked = True
            asyncio.get_running_loop().call_soon(self._end)
        return self.now

    def uncork_at_end(self, sender: WebSocketWriter) -> None:
        self.this()
        self._holding.append(sender)

    def _end(self) -> None:
        self._asked = False
        self.now += 1
        holding, self._holding = self._holding, []
        for sender in holding:
            sender.flush()
