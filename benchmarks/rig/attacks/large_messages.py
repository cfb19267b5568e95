"""Messages of 990 kB that take long to parse: before anybody logged in, by one client, by many, in both parsers."""

from __future__ import annotations

import asyncio
import json
import struct
import zlib
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp

from rig.attacks.target import Target

SIZE = 990_000
TIMES = 20
SENDERS = 20
NESTED = "[" * 60 + "]" * 60
DEEP = ",".join([NESTED] * 1500)
"""As many arrays as a message may have."""
CHAT = "/chat,"
PLACE = '{"_placeholder":true,"num":0}'

JSON = {
    "surrogates": f'42{CHAT}["x","' + "\\ud800\n" * (SIZE // 7) + '"]',
    "escapes": f'42{CHAT}["x","' + "\\ud800\\n" * (SIZE // 8) + '"]',
    "arrays": f'42{CHAT}["x",{DEEP}]',
    "placeholders": f'451-{CHAT}["x",{PLACE},{DEEP}]',
}

Attack = Callable[[Target], Coroutine[Any, Any, None]]


def strangers(*messages: str | bytes) -> Attack:
    """Of a client that has joined nothing, again and again."""
    return partial(_strangers, messages=messages)


async def _strangers(target: Target, messages: tuple[str | bytes, ...]) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(TIMES):
            with suppress(aiohttp.ClientError, ConnectionError, TypeError):  # TypeError: closed before it was opened
                socket = await target.socket(session)
                for message in messages:
                    await _send(socket, message)
                await socket.receive(timeout=30.0)
                await socket.close()


def members(count: int, *messages: str | bytes) -> Attack:
    """Of so many clients that have joined the chat, at the same time."""
    return partial(_members, count=count, messages=messages)


async def _members(target: Target, count: int, messages: tuple[str | bytes, ...]) -> None:
    async with aiohttp.ClientSession() as session:
        clients = [await target.client(session, f"member{number}") for number in range(count)]

        async def flood(socket: aiohttp.ClientWebSocketResponse) -> None:
            with suppress(aiohttp.ClientError, ConnectionError):
                for _ in range(max(2, TIMES // count)):
                    for message in messages:
                        await _send(socket, message)
                await socket.send_bytes(b"the end")
                while (await socket.receive(timeout=30.0)).type not in (
                    aiohttp.WSMsgType.CLOSE,
                    aiohttp.WSMsgType.CLOSED,
                ):
                    pass

        await asyncio.gather(*(flood(client.socket) for client in clients))


async def _send(socket: aiohttp.ClientWebSocketResponse, message: str | bytes) -> None:
    await (socket.send_str(message) if isinstance(message, str) else socket.send_bytes(message))


async def deflated(target: Target) -> None:
    """Sixty times nested brackets, 3.4 kB each on the wire, in one write on a connection that has joined nothing."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    text = b"42" + b"[" * (SIZE // 2) + b"]" * (SIZE // 2)
    packed = (packer.compress(text) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    frame = bytes((0xC1, 0xFE)) + struct.pack("!H", len(packed)) + bytes(4) + packed
    for _ in range(TIMES):
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port)
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n" + frame * 3
        )
        with suppress(ConnectionError):
            await reader.read()
        writer.close()


async def packets(target: Target) -> None:
    """POSTs of 10,000 packets, each an event that is refused and asks for an ack."""
    url = f"{target.url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        url = f"{url}&sid={sid}"
        connect = f'40{CHAT}{{"token":"{target.token("poller")}"}}'
        body = "\x1e".join(f'42{CHAT}{number}["x"]' for number in range(10_000))
        async with session.post(url, data=connect):
            pass
        for _ in range(TIMES):
            async with session.post(url, data=body) as answer:
                if answer.status != 200:
                    raise ConnectionError(await answer.text())
            async with session.get(url) as answer:
                await answer.read()


async def queries(target: Target) -> None:
    """CONNECTs of version 2 with 980 kB of query each, on connections that stay open."""
    async with aiohttp.ClientSession() as session:
        opened = []
        for _ in range(2 * TIMES):
            socket = await session.ws_connect(f"{target.url}/socket.io/?EIO=3&transport=websocket")
            opened.append(socket)
            await socket.receive_str()
            with suppress(ConnectionError):
                await socket.send_str(f"40/chat?token={target.token('old')}&x=" + "x" * 980_000)
                await socket.receive(timeout=5.0)
        await asyncio.sleep(0.5)  # while all are open, the observer looks at the memory
