"""WebSocket compression as applications and official clients see it: the same events, fewer bytes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from rtserver.sio.namespace.namespace import Namespace, event

LONG = "a rather long text, é, " * 5000
BYTES = b"\x01\x02\x03\x04" * 25_000
SMALL = 30_000
"""The most bytes on the wire for messages of more than ten times as many."""


class Desk(Namespace):
    path = "/"
    auth = "none"

    @event("echo")
    async def echo(self, client, *args):
        return args[0] if len(args) == 1 else list(args)


class Line:
    """A TCP proxy that counts bytes."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.up = self.down = 0

    async def open(self) -> str:
        self._server = await asyncio.start_server(self._carry_both, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        self._server.close()

    def count(self) -> tuple[int, int]:
        """Bytes to the server and to the client since the last call."""
        counted, self.up, self.down = (self.up, self.down), 0, 0
        return counted

    async def _carry_both(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_there = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._carry(reader, to_there, "up"), self._carry(there, writer, "down"))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                setattr(self, way, getattr(self, way) + len(data))
                writer.write(data)
                await writer.drain()
        writer.close()


@pytest.fixture
async def line():
    """`url, line = await line(served)`: a proxy to the server that counts bytes."""
    lines = []

    async def open(served: Any) -> tuple[str, Line]:
        lines.append(line := Line(int(served.url.rpartition(":")[2])))
        return await line.open(), line

    yield open
    for line in lines:
        line.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-then-".join)
@pytest.mark.parametrize("serializer", ["default", "msgpack"])
async def test_the_official_client_is_compressed_in_both_directions(serve, js, line, transports, serializer):
    served = await serve(Desk(), per_message_deflate=True, serializer=serializer)
    url, line = await line(served)
    parser = {"parser": "msgpack"} if serializer == "msgpack" else {}
    client = await js(url, transports=transports, perMessageDeflate={"threshold": 0}, **parser)
    await client.upgraded()
    line.count()
    assert await client.call("echo", LONG) == LONG
    assert await client.call("echo", {"bytes": BYTES}) == {"bytes": BYTES}
    assert await client.call("echo", "short", b"\x01") == ["short", b"\x01"]
    assert max(line.count()) < SMALL
    for number in range(50):
        assert await client.call("echo", number, LONG[: number * 100]) == [number, LONG[: number * 100]]


async def test_compression_is_off_by_default(serve, js, line):
    served = await serve(Desk())
    url, line = await line(served)
    client = await js(url, transports=["websocket"], perMessageDeflate={"threshold": 0})
    line.count()
    assert await client.call("echo", LONG) == LONG
    assert min(line.count()) > len(LONG)


async def test_a_broadcast_reaches_compressed_and_other_clients(serve, js, line):
    served = await serve(desk := Desk(), per_message_deflate=True)
    url, few = await line(served)
    other_url, many = await line(served)
    compressed = [await js(url, transports=["websocket"]) for _ in range(2)]
    others = [
        await js(other_url, transports=["websocket"], perMessageDeflate=False),
        await js(other_url, transports=["polling"], extraHeaders={"Accept-Encoding": "identity"}),
    ]
    few.count(), many.count()
    await desk.emit("news", LONG, BYTES)
    for client in [*compressed, *others]:
        assert await client.next("news") == [LONG, BYTES]
    assert few.count()[1] < SMALL
    assert many.count()[1] > 2 * len(LONG + "x" * len(BYTES))


async def test_compress_false_sends_a_message_uncompressed(serve, js, line):
    served = await serve(desk := Desk(), per_message_deflate=True)
    url, line = await line(served)
    client = await js(url, transports=["websocket"])
    await client.answer("question", "answer")
    there = next(iter(served.server._clients.values()))
    size = len(LONG.encode())

    async def bytes_down(emitting: Any) -> int:
        line.count()
        await emitting
        assert await client.call("echo", 1) == 1
        return line.count()[1]

    assert await bytes_down(desk.emit("news", LONG)) < SMALL
    assert await bytes_down(desk.compress(False).emit("news", LONG)) > size
    assert await bytes_down(there.emit("news", LONG)) < SMALL
    assert await bytes_down(there.compress(False).emit("news", LONG)) > size
    assert await bytes_down(there.emit_with_ack("question", LONG)) < SMALL
    assert await bytes_down(there.compress(False).emit_with_ack("question", LONG)) > size
    assert await bytes_down(desk.emit_with_ack("question", LONG)) < SMALL
    assert await bytes_down(desk.compress(False).emit_with_ack("question", LONG)) > size
