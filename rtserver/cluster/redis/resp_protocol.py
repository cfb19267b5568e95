"""RESP protocol: reads replies and writes commands directly on the transport, without a task per connection.

1. redis-py opens the connection (addresses, TLS, login); then its transport gets this `asyncio.Protocol`.
2. hiredis parses the replies; they are passed on in order.
3. At most `REPLIES_PER_ITERATION` are passed on in one iteration of the event loop, so that a busy channel leaves time
   for the rest of the server. Meanwhile reading is paused, so that TCP slows Redis down.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, cast

import hiredis
from redis._parsers.base import BaseParser
from redis.asyncio import Connection
from redis.exceptions import InvalidResponse

REPLIES_PER_ITERATION = 64
CLOSED = "closed by Redis"
NO_CORK = nullcontext()
_NOTHING = object()

pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command


class RespProtocol(asyncio.Protocol):
    """`on_reply(reply)` gets each reply, error replies as exception objects.

    An exception that it raises ends the connection and becomes the result of `lost`.
    """

    def __init__(
        self,
        connection: Connection,
        on_reply: Callable[[Any], None],
        on_writable: Callable[[], None] = lambda: None,
        cork: AbstractContextManager[None] = NO_CORK,
    ) -> None:
        """`on_writable` is called when the write buffer has drained. Replies are passed on within `cork`, which corks
        what they cause to be written to clients."""
        self._on_reply = on_reply
        self._on_writable = on_writable
        self._cork = cork
        self._reader = hiredis.Reader(
            protocolError=InvalidResponse, replyError=BaseParser.parse_error, notEnoughData=_NOTHING
        )
        self._paused = False
        self.congested = False
        """Whether nothing should be written now: the write buffer is full, or the connection is ending."""
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Ends with the exception that ended the connection."""
        self.lost.add_done_callback(lambda lost: None if lost.cancelled() else lost.exception())
        writer = connection._writer
        if writer is None or writer.transport.is_closing():
            raise ConnectionError(CLOSED)
        self._transport = cast("asyncio.Transport", writer.transport)
        self._transport.set_protocol(self)
        self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        """Write packed commands; the transport buffers what the socket does not accept."""
        try:
            self._transport.write(data)
        except RuntimeError as error:  # uvloop: the transport is closed
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """End the connection with `error`, unless it has ended already."""
        self.congested = True
        if type(error) is RuntimeError and self._transport.is_closing():
            error = ConnectionError(CLOSED)
        if not self.lost.done():
            self.lost.set_exception(error)
        with suppress(RuntimeError):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        if not self._paused:
            self._pass_on()

    def _pass_on(self) -> None:
        try:
            with self._cork:
                if self._pass_on_some():
                    return
            if not self._paused:
                self._paused = True
                self._transport.pause_reading()
            asyncio.get_running_loop().call_soon(self._pass_on)
        except Exception as error:  # noqa: BLE001  becomes the result of `lost`, whatever it is
            self.fail(error)

    def _resume_reading(self) -> None:
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def _pass_on_some(self) -> bool:
        """Pass on up to `REPLIES_PER_ITERATION` replies; return whether none is left in the buffer."""
        gets, on_reply, lost = self._reader.gets, self._on_reply, self.lost
        for _ in range(REPLIES_PER_ITERATION):
            reply = gets(False)
            if reply is _NOTHING:
                self._resume_reading()
                return True
            if lost.done():
                return True
            on_reply(reply)
        return False

    def pause_writing(self) -> None:
        self.congested = True

    def resume_writing(self) -> None:
        self.congested = self.lost.done()
        self._on_writable()

    def eof_received(self) -> None:
        self.congested = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.congested = True
        if not self.lost.done():
            self.lost.set_exception(exc or ConnectionError(CLOSED))
