"""A connection to Redis once it is open: commands go out and answers come in where the bytes are, without a task.

redis-py opens the connection (addresses, TLS, login); then its transport gets this protocol. Answers are parsed by
hiredis and handed on in order, at most `TURN` of them in one turn of the event loop, so that a busy channel leaves
room for the rest of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio import Connection
from redis.exceptions import InvalidResponse

TURN = 64
NO_TURN = nullcontext()
_NOTHING = object()

pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


class RespProtocol(asyncio.Protocol):
    """`take(answer)` gets each answer, errors of Redis as objects; what it raises ends the connection, as `lost`."""

    def __init__(
        self,
        connection: Connection,
        take: Callable[[Any], None],
        writable: Callable[[], None] = lambda: None,
        turn: AbstractContextManager[None] = NO_TURN,
    ) -> None:
        """`writable` is called when writing is possible again. What comes at a time is taken within `turn`."""
        self._take = take
        self._writable = writable
        self._turn = turn
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )
        self._resting = False
        self.congested = False
        """Nothing can be written now."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection is; with what ended it."""
        self.lost.add_done_callback(lambda lost: None if lost.cancelled() else lost.exception())
        writer = connection._writer
        if writer is None:
            raise ConnectionError("closed by Redis")
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def fail(self, error: BaseException) -> None:
        """End the connection."""
        self.congested = True
        if not self.lost.done():
            self.lost.set_exception(error)
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if not self._resting:
            self._hand_on()

    def _hand_on(self) -> None:
        try:
            with self._turn:
                if self._take_some():
                    return
        except Exception as error:  # noqa: BLE001  # handed on, whatever it is
            self.fail(error)
        else:
            if not self._resting:
                self._resting = True
                self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._hand_on)

    def _read_on(self) -> None:
        if self._resting:
            self._resting = False
            self._transport.resume_reading()

    def _take_some(self) -> bool:
        """Whether that was all."""
        gets, take, lost = self._reader.gets, self._take, self.lost
        for _ in range(TURN):
            answer = gets(False)
            if answer is _NOTHING:
                self._read_on()
                return True
            if lost.done():
                return True
            take(answer)
        return False

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = self.lost.done()
        self._writable()

    def eof_received(self) -> None:
        self.congested = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.congested = True
        if not self.lost.done():
            self.lost.set_exception(exc or ConnectionError("closed by Redis"))
