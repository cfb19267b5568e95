"""Bodies of requests that are refused at once: 1.9 MB of gzip that inflate to 2 GB, and 600,000 chunks of one byte."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from contextlib import suppress

from rig.attacks.target import Target

REQUESTS = 4
INFLATED = 2_000_000_000
BLOCK = bytes(10_000_000)
CHUNKS = b"1\r\nx\r\n" * 600_000 + b"0\r\n\r\n"
PATHS = ("/nothing", "/socket.io/?EIO=4&transport=polling&sid=none")
ANSWER_SECONDS = 60.0


async def inflating(target: Target) -> None:
    body = _bomb()
    for path in PATHS:
        await _post(target, path, f"Content-Encoding: gzip\r\nContent-Length: {len(body)}", body)


async def chunked(target: Target) -> None:
    for path in PATHS:
        await _post(target, path, "Transfer-Encoding: chunked", CHUNKS)


async def chunked_and_accepted(target: Target) -> None:
    key = f"Authorization: Bearer {target.api_key}\r\nContent-Type: application/json\r\n"
    for _ in range(REQUESTS):
        await _post(target, "/api/emit", f"{key}Transfer-Encoding: chunked", CHUNKS)


def _bomb() -> bytes:
    """The same compressed block again and again: to compress 2 GB would take a minute."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block = packer.compress(BLOCK) + packer.flush(zlib.Z_FULL_FLUSH)
    return gzip.compress(b"")[:10] + block * (INFLATED // len(BLOCK))


async def _post(target: Target, path: str, fields: str, body: bytes) -> None:
    """Send a request, and read until the server closes the connection or has gone through the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
    with suppress(ConnectionError, TimeoutError):
        writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{fields}\r\n\r\n".encode())
        writer.write(body)
        async with asyncio.timeout(ANSWER_SECONDS):
            await writer.drain()
            await reader.read(-1)
    writer.close()
