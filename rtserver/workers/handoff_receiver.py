"""Connection handoff, receiving side: accepts connections with the bytes read from them, and serves them as its own.

Only processes of this user can connect, as the folder is closed to others. Nevertheless nothing is accepted but one
descriptor and as many bytes as were announced, within `SECONDS`.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from rtserver.reconnect import Episodes
from rtserver.tasks import Tasks
from rtserver.workers.handoff import LENGTH, SECONDS
from rtserver.workers.shared_load import ACCEPTS_NEW

log = structlog.get_logger("rtserver.workers")

BACKLOG: Final = 1024
CHUNK: Final = 65536
PAUSE: Final = 1.0
"""Seconds before the next attempt to accept, after this process ran out of file descriptors."""
QUIET: Final = 60.0
"""Seconds without a failed attempt after which one is logged again."""
MAX_HEAD: Final = 1 << 17
"""Bytes that a request may have beyond its body."""

ProtocolFactory = Callable[[], asyncio.Protocol]


class HandoffReceiver:
    """`new_protocol` makes the protocol of a new connection; `limit`: the largest body of a request, in bytes."""

    def __init__(self, folder: Path, own: str, new_protocol: ProtocolFactory, limit: int) -> None:
        self._path = folder / own
        self._accepts_new = folder / (own + ACCEPTS_NEW)
        self._new_protocol = new_protocol
        self._limit = limit + MAX_HEAD
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._arrivals: set[_Arrival] = set()
        self._tasks = Tasks()
        self._pause: asyncio.TimerHandle | None = None
        self._waits = Episodes(QUIET)

    def start(self) -> None:
        """Listen on the Unix socket, for handshakes as well."""
        self._listener.setblocking(False)
        self._listener.bind(str(self._path))
        self._listener.listen(BACKLOG)
        self._listen()
        self.accept_new()

    def accept_new(self) -> None:
        """Accept handshakes from now on."""
        self._accepts_new.touch()

    def refuse_new(self) -> None:
        """Accept no more handshakes; requests of the sessions that are here are still accepted."""
        self._accepts_new.unlink(missing_ok=True)

    def close(self) -> None:
        """Stop listening, remove the files and close the handoffs that are still arriving."""
        if self._pause is not None:
            self._pause.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self.refuse_new()
        self._path.unlink(missing_ok=True)
        for arrival in list(self._arrivals):
            arrival.close()

    def _listen(self) -> None:
        self._pause = None
        asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # too many open files: the loop would call again at once
            if self._waits.is_news():
                log.warning("handovers_wait", reason=error.strerror, seconds=PAUSE)
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._listener)
            self._pause = loop.call_later(PAUSE, self._listen)
            return
        arrival = _Arrival(connection, self._limit, self._arrived)
        self._arrivals.add(arrival)

    def _arrived(self, arrival: _Arrival, descriptor: int | None, data: bytes) -> None:
        self._arrivals.discard(arrival)
        if descriptor is not None:
            self._tasks.spawn(self._serve(descriptor, data))

    async def _serve(self, descriptor: int, data: bytes) -> None:
        client = None
        try:
            client = socket.socket(fileno=descriptor)
            client.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: _FirstBytes(self._new_protocol, data), client
            )
        except (OSError, ValueError) as error:  # closed by now, or not a connection
            os.close(descriptor) if client is None else client.close()
            log.info("handover_lost", reason=type(error).__name__)


class _Arrival:
    """A handoff that is arriving. `done` gets the descriptor and the bytes; None and no bytes when it is incomplete."""

    def __init__(
        self, connection: socket.socket, limit: int, done: Callable[[_Arrival, int | None, bytes], None]
    ) -> None:
        self._connection = connection
        self._limit = limit
        self._done = done
        self._descriptor: int | None = None
        self._data = bytearray()
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.call_later(SECONDS, self.close)
        connection.setblocking(False)
        self._loop.add_reader(connection, self._read)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
        self._end(None, b"")

    def _read(self) -> None:
        try:
            data = self._receive()
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self._data += data
        size = int.from_bytes(self._data[:LENGTH], "big") if len(self._data) >= LENGTH else self._limit
        if self._descriptor is not None and len(self._data) == LENGTH + size <= self._limit:
            descriptor, self._descriptor = self._descriptor, None
            self._end(descriptor, bytes(self._data[LENGTH:]))
        elif not data or self._descriptor is None or size > self._limit or len(self._data) > LENGTH + size:
            self.close()

    def _receive(self) -> bytes:
        if self._data:
            return self._connection.recv(CHUNK)
        data, descriptors, _, _ = socket.recv_fds(self._connection, CHUNK, 1)
        self._descriptor = descriptors[0] if descriptors else None
        return data

    def _end(self, descriptor: int | None, data: bytes) -> None:
        self._deadline.cancel()
        self._loop.remove_reader(self._connection)
        self._connection.close()
        self._done(self, descriptor, data)


class _FirstBytes(asyncio.Protocol):
    """Switches to the protocol of a new connection and passes it the bytes already read, before more is read."""

    def __init__(self, new_protocol: ProtocolFactory, data: bytes) -> None:
        self._new_protocol = new_protocol
        self._data = data

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._new_protocol()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._data)
