"""TCP proxy that can stop forwarding without closing connections, as a network that drops their state."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator


def reset(writer: asyncio.StreamWriter) -> None:
    """Close a connection with a TCP reset."""
    raw: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class TcpProxy:
    """`freeze()`: present connections stop forwarding, later ones work. `frozen`: those that are not closed yet.

    `cut()` resets all connections, and new ones until `mend()`.
    """

    def __init__(self) -> None:
        self.port = 0
        self.frozen = 0
        self._is_cut = False
        self._now: set[asyncio.Event] = set()
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def to(self, port: int) -> AsyncIterator["TcpProxy"]:
        done = asyncio.Event()
        open_now = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_now
            if self._is_cut:
                writer.transport.abort()
                return
            open_now += 1
            try:
                await forward(reader, writer)
            except OSError:  # nothing listens there at the moment
                reset(writer)
            finally:
                open_now -= 1
                done.set()

        async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            away_reader, away_writer = await asyncio.open_connection("127.0.0.1", port)
            frozen = asyncio.Event()
            self._now.add(frozen)
            self._writers += [writer, away_writer]
            back = asyncio.create_task(self._copy(away_reader, writer, frozen))
            await self._copy(reader, away_writer, frozen)
            if frozen.is_set():
                self.frozen -= 1
            else:
                self._now.discard(frozen)
                away_writer.close()
            await back

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        yield self
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        while open_now:
            done.clear()
            await done.wait()

    def freeze(self) -> None:
        self.frozen += len(self._now)
        for frozen in self._now:
            frozen.set()
        self._now.clear()

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._writers:
            reset(writer)
        self._writers.clear()

    def mend(self) -> None:
        self._is_cut = False

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, frozen: asyncio.Event) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not frozen.is_set():
                    writer.write(data)
                    await writer.drain()
            if not frozen.is_set():
                writer.close()
