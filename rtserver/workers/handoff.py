"""A connection that came to the wrong worker is given to the right one: its descriptor and the bytes of its request.

Each worker listens on a Unix socket, named after its instance id, in a folder that only this user may enter. A handover
is one connection to it: four bytes of length, the request, and with the first byte the descriptor of the client's
connection. From then on the connection is the other worker's: the address of the client stays what it is, and nothing
is relayed. The next request on it may be for yet another worker, and moves it on.

A worker that takes new sessions has a second file there, with `.new` behind the name; one that is on its way out sends
handshakes to those. A request can go in no circle: one with a sid goes to the one worker of that name, who answers it,
and a handshake only to a worker that takes it.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from rtserver.engine.http.detach import DetachedRequest

log = structlog.get_logger("rtserver.workers")

NAME = re.compile(r"[A-Za-z0-9]{1,16}")
MAX_SLOW: Final = 256
"""Requests that one worker may be reading for others, and as many that others may be slow to take. Most have nothing to
wait for, and need no place among these: whoever sends slowly can only be in the way of others who do."""
LENGTH: Final = 4
TAKING: Final = ".new"
SECONDS: Final = 10.0
"""For a request to come whole, and to be sent."""

Counted = Callable[[str], None]


class HandoffSender:
    """How one worker reaches the others. `limit`: the largest body of a request, in bytes."""

    def __init__(self, folder: Path, own: str, limit: int, counted: Counted) -> None:
        """`counted` is told what became of each: "sent", "failed" or "busy"."""
        self._folder = folder
        self._own = own
        self._limit = limit
        self._counted = counted
        self._reading = 0
        self._sending: set[asyncio.Task[None]] = set()

    async def __call__(self, request: web.Request, sid: str | None) -> web.StreamResponse | None:
        """`Engine.peer_workers`."""
        name = self._owner(sid) if sid else self._taker()
        if name is None or not (self._folder / name).exists():
            return None
        moving = DetachedRequest(request, self._limit)
        if len(self._sending) >= MAX_SLOW or (moving.must_read_first and self._reading >= MAX_SLOW):
            self._counted("busy")
            return _later()
        try:
            if moving.must_read_first:
                await self._read(moving)
            other = self._connect(name)
            return None if other is None else self._move(moving, other)
        except (OSError, TimeoutError) as error:
            # What was read of the request is lost with it: the client has to come again.
            self._counted("failed")
            log.info("handover_failed", reason=type(error).__name__)
            return _later()

    def others(self) -> list[str]:
        """The instance ids of the other workers."""
        return sorted({path.name for path in self._folder.iterdir() if NAME.fullmatch(path.name)} - {self._own})

    async def ask(self, name: str, path: str) -> tuple[int, bytes]:
        """GET something of a worker; raises `OSError`. This one may ask itself too."""
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
        name, dash, _ = sid.partition("-")
        return name if dash and name != self._own and NAME.fullmatch(name) else None

    def _taker(self) -> str | None:
        taking = [path.name.removesuffix(TAKING) for path in self._folder.glob("*" + TAKING)]
        others = [name for name in taking if name != self._own]
        return secrets.choice(others) if others else None

    def _connect(self, name: str | None) -> socket.socket | None:
        """None when there is no such worker, or when it cannot take more."""
        if name is None:
            return None
        other = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        other.setblocking(False)
        try:
            other.connect(str(self._folder / name))
        except OSError:
            other.close()
            return None
        return other

    async def _read(self, moving: DetachedRequest) -> None:
        self._reading += 1
        try:
            async with asyncio.timeout(SECONDS):
                await moving.read()
        finally:
            self._reading -= 1

    def _move(self, moving: DetachedRequest, other: socket.socket) -> web.StreamResponse:
        try:
            data = moving.request_bytes()
            if data is None:
                raise ConnectionAbortedError("not alone on its connection")
            data = _framed(data)
            sent = socket.send_fds(other, [data], [moving.descriptor])
        except BaseException:
            other.close()
            raise
        answer = moving.detach()
        self._counted("sent")
        if sent == len(data):
            other.close()
        else:
            sending = asyncio.create_task(_send_rest(other, data[sent:]))
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)
        return answer


async def _send_rest(other: socket.socket, data: bytes) -> None:
    with other, suppress(OSError, TimeoutError):
        async with asyncio.timeout(SECONDS):
            await asyncio.get_running_loop().sock_sendall(other, data)


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(LENGTH, "big") + data


def _later() -> web.Response:
    """Come again, over another connection: clients take it for a transport that was lost."""
    answer = web.Response(status=503)
    answer.force_close()
    return answer
