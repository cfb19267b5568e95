"""Connection handoff, sending side: a request for another worker's session goes there together with its connection.

1. Each worker listens on a Unix socket, named after its instance id, in a folder that only this user may enter.
2. A handoff is one connection to that socket: four bytes of length (big-endian), the bytes of the request, and with the
   first byte the descriptor of the client's connection.
3. From then on the connection belongs to the other worker. The client's address stays what it is, and nothing is
   relayed. The next request on the connection may be for a third worker, and moves it again.
4. A worker that opens new sessions has a second file there, named after it with `.new` appended. A worker that is about
   to leave sends handshakes to one of those, and so does one that is crowded (`rtserver.workers.shared_load`).
5. A request cannot circulate: one with a sid goes to the worker of that name, which answers it, and a handshake goes
   only to a worker that opens sessions, of a crowded worker to one that has fewer.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from rtserver.engine.http.detach import DetachedRequest
from rtserver.tasks import Tasks
from rtserver.workers.shared_load import SharedLoad

log = structlog.get_logger("rtserver.workers")

NAME = re.compile(r"[A-Za-z0-9]{1,16}")
MAX_SLOW: Final = 256
"""Requests that this worker may be reading for others, and as many that others may be slow to receive. Most requests
wait for nothing and do not count: a slow client can only be in the way of other slow clients."""
LENGTH: Final = 4
SECONDS: Final = 10.0
"""For a request to arrive whole, and to be sent."""

HandoffCounter = Callable[[str], None]


class HandoffSender:
    """The way from this worker to the others. `limit`: the largest body of a request, in bytes."""

    def __init__(self, folder: Path, own: str, limit: int, count: HandoffCounter, load: SharedLoad) -> None:
        """`own` is this worker's instance id; `count` gets the outcome of each handoff: "sent", "failed" or "busy"."""
        self._folder = folder
        self._own = own
        self._limit = limit
        self._count = count
        self._load = load
        self._reading = 0
        self._sending = 0
        self._tasks = Tasks()

    async def __call__(self, request: web.Request, sid: str | None) -> web.StreamResponse | None:
        """Hand over a request of the session `sid`, or a handshake (None); the `PeerWorkers` of the engine.

        Returns None when it belongs to no other worker, so that this one has to answer it.
        """
        name = self._owner(sid) if sid else self._load.least()
        if name is None or not (self._folder / name).exists():
            return None
        detached = DetachedRequest(request, self._limit)
        if not sid and not detached.possible:
            return None  # better here than not at all
        if self._sending >= MAX_SLOW or (detached.must_read_first and self._reading >= MAX_SLOW):
            self._count("busy")
            return _retry_later()
        try:
            if detached.must_read_first:
                await self._read(detached)
            other = self._connect(name)
            return None if other is None else self._send(detached, other)
        except (OSError, TimeoutError) as error:
            # What was read of the request is lost: the client has to send it again.
            self._count("failed")
            log.info("handover_failed", reason=type(error).__name__)
            return _retry_later()

    def others(self) -> list[str]:
        """Return the instance ids of the other workers, sorted."""
        return sorted({path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name)} - {self._own})

    async def get(self, name: str, path: str) -> tuple[int, bytes]:
        """Send GET `path` to a worker, this one included; return status and body. Raises `OSError`."""
        ours, theirs = socket.socketpair()
        with theirs:
            other = self._connect(name)
            if other is None:
                ours.close()
                raise ConnectionRefusedError(name)
            request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
            with other:
                socket.send_fds(other, [_framed(request)], [theirs.fileno()])
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            head, _, body = (await reader.read(-1)).partition(b"\r\n\r\n")
        finally:
            writer.close()
        status = head[9:12]
        return int(status) if status.isdigit() else 0, body

    def _owner(self, sid: str) -> str | None:
        """Return the other worker that a session id names."""
        name, dash, _ = sid.partition("-")
        return name if dash and name != self._own and NAME.fullmatch(name) else None

    def _connect(self, name: str) -> socket.socket | None:
        """Connect to a worker; None when it does not exist or accepts nothing more."""
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        other.setblocking(False)
        try:
            other.connect(str(self._folder / name))
        except OSError:
            other.close()
            return None
        return other

    async def _read(self, detached: DetachedRequest) -> None:
        self._reading += 1
        try:
            async with asyncio.timeout(SECONDS):
                await detached.read()
        finally:
            self._reading -= 1

    def _send(self, detached: DetachedRequest, other: socket.socket) -> web.StreamResponse:
        try:
            data = detached.request_bytes()
            if data is None:
                raise ConnectionAbortedError("not alone on its connection")
            data = _framed(data)
            sent = socket.send_fds(other, [data], [detached.descriptor])
        except BaseException:
            other.close()
            raise
        answer = detached.detach()
        self._count("sent")
        if sent == len(data):
            other.close()
        else:
            self._sending += 1
            self._tasks.spawn(self._send_rest(other, data[sent:]))
        return answer

    async def _send_rest(self, other: socket.socket, data: bytes) -> None:
        try:
            with other, suppress(OSError, TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await asyncio.get_running_loop().sock_sendall(other, data)
        finally:
            self._sending -= 1


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH, "big") + data


def _retry_later() -> web.Response:
    """Return a 503 that closes the connection: clients treat it as a lost transport and connect again."""
    answer = web.Response(status=503)
    answer.force_close()
    return answer
