"""Raw client: HTTP requests and WebSocket frames, byte for byte as a test writes them."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rtserver.protocol.frames import ANNOUNCEMENT, BINARY, CLOSE, PART, TEXT, FrameReader, Message, unmask

SECONDS = 5.0
_masks = random.Random(6455)  # the same in each run: frames are part of test ids
PATH = "/engine.io/"
POLLING = "EIO=4&transport=polling"
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, query: str = "", body: bytes | None = None, path: str = PATH, **headers: str) -> bytes:
    """One HTTP/1.1 request; underscores in header names become dashes."""
    fields = {"Host": "test"} | {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None and "Transfer-Encoding" not in fields:
        fields.setdefault("Content-Length", str(len(body)))
    lines = [f"{method} {path}?{query} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + (body or b"")


def upgrade(query: str, path: str = PATH, **headers: str) -> bytes:
    """The opening handshake of a WebSocket."""
    return request("GET", query, path=path, **{**WEBSOCKET, **headers})


def client_frame(payload: str | bytes, opcode: int | None = None, first: int | None = None, mask: bool = True) -> bytes:
    """A frame of a client; `first`: its first byte, for invalid frames."""
    raw = bytearray(payload.encode() if isinstance(payload, str) else payload)
    if first is None:
        first = 0x80 | (opcode if opcode is not None else TEXT if isinstance(payload, str) else BINARY)
    size = len(raw)
    bit = 0x80 if mask else 0
    if size < 126:
        head = bytes((first, bit | size))
    elif size < 65536:
        head = bytes((first, bit | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, bit | 127)) + size.to_bytes(8, "big")
    if not mask:
        return head + bytes(raw)
    key = _masks.randbytes(4)
    unmask(key, raw)
    return head + key + bytes(raw)


def fed(reader: FrameReader, data: bytes, found: list[Message] | None = None) -> list[Message]:
    """The messages that a reader yields for these bytes, appended to `found`."""
    found = [] if found is None else found
    found.extend(message for message in reader.feed(data) if message is not PART and message is not ANNOUNCEMENT)
    return found


class Wire:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(
        cls, port: int, tls: ssl.SSLContext | None = None, limit: int = 2**16, sock: socket.socket | None = None
    ) -> Wire:
        """`sock` is connected already."""
        if sock is not None:
            sock.setblocking(False)
            return cls(*await asyncio.open_connection(sock=sock, limit=limit))
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=limit))

    async def send(self, *parts: bytes) -> None:
        for part in parts:
            self.writer.write(part)
        await self.writer.drain()

    async def ask(self, raw: bytes) -> Answer:
        await self.send(raw)
        return await self.answer()

    async def answer(self) -> Answer:
        """The next HTTP response."""
        async with asyncio.timeout(SECONDS):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.rstrip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            if headers.get("transfer-encoding") == "chunked":
                body = await self._chunks()
            else:
                body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return Answer(int(first.split()[1]), headers, body)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readexactly(2)
        await self.reader.readline()
        return body

    async def upgrade(self, query: str = "EIO=4&transport=websocket", **headers: str) -> Answer:
        answer = await self.ask(upgrade(query, **headers))
        assert answer.status == 101, answer
        return answer

    async def frame(self, *payloads: str | bytes) -> None:
        await self.send(*map(client_frame, payloads))

    async def receive(self) -> tuple[int, bytes]:
        """The next frame of the server: opcode and payload."""
        first, payload = await self.raw_frame()
        assert first & 0x70 == 0
        return first & 0x0F, payload

    async def raw_frame(self) -> tuple[int, bytes]:
        """The next frame of the server: its first byte, with the reserved bits, and payload."""
        async with asyncio.timeout(SECONDS):
            first, size = await self.reader.readexactly(2)
            assert size < 128, "a server does not mask"
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first, await self.reader.readexactly(size)

    async def text(self) -> str:
        opcode, payload = await self.receive()
        assert opcode == TEXT, (opcode, payload)
        return payload.decode()

    async def opened(self) -> str:
        """Read the open packet; returns its session id."""
        packet = await self.text()
        assert packet[0] == "0"
        sid: str = json.loads(packet[1:])["sid"]
        return sid

    async def close_code(self) -> int | None:
        """Wait for the close frame and the end of the connection; earlier pings and messages are skipped."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                await self.ended()
                return int.from_bytes(payload[:2], "big") if payload else None

    async def ended(self) -> bytes:
        """Wait until the server closes the connection; returns the bytes before that."""
        async with asyncio.timeout(SECONDS):
            return await self.reader.read(-1)

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()

    def abort(self) -> None:
        """Reset the connection, as when a process dies."""
        self.writer.transport.abort()
