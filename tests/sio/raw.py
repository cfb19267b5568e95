"""A raw client that can break the protocol: Engine.IO over aiohttp's WebSocket; tests write the packets."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp

SECONDS = 5.0


class Raw:
    """`send` and `receive` Socket.IO packets as text and bytes; pings are answered automatically."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self.engine_id = ""

    async def opened(self) -> Raw:
        message = await self._socket.receive(SECONDS)
        assert message.data[0] == "0", message
        self.engine_id = json.loads(message.data[1:])["sid"]
        return self

    async def engine_send(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    async def send(self, *packets: str | bytes) -> None:
        for packet in packets:
            await self.engine_send(f"4{packet}" if isinstance(packet, str) else packet)

    async def receive(self, seconds: float = SECONDS) -> str | bytes | None:
        """The next Socket.IO message; None when the server closed the connection."""
        while True:
            message = await self._socket.receive(seconds)
            match message.type:
                case aiohttp.WSMsgType.TEXT if message.data == "2":
                    await self._socket.send_str("3")
                case aiohttp.WSMsgType.TEXT if message.data == "1":
                    return None
                case aiohttp.WSMsgType.TEXT:
                    assert message.data[0] == "4", message.data
                    return str(message.data[1:])
                case aiohttp.WSMsgType.BINARY:
                    return bytes(message.data)
                case _:
                    return None

    async def connect(self, namespace: str = "/", auth: Any = None) -> str:
        """Send a CONNECT that is accepted; returns the socket id."""
        await self.send(connect_packet(namespace, auth))
        answer = await self.receive()
        head = "0" if namespace == "/" else f"0{namespace},"
        assert isinstance(answer, str), answer
        assert answer.startswith(head + "{"), answer
        sid: str = json.loads(answer.removeprefix(head))["sid"]
        return sid

    async def refused(self, namespace: str = "/", auth: Any = None) -> dict[str, Any]:
        """Send a CONNECT that is refused; returns the payload of CONNECT_ERROR."""
        await self.send(connect_packet(namespace, auth))
        answer = await self.receive()
        head = "4" if namespace == "/" else f"4{namespace},"
        assert isinstance(answer, str), answer
        assert answer.startswith(head + "{"), answer
        payload: dict[str, Any] = json.loads(answer.removeprefix(head))
        return payload

    async def call(self, namespace: str, *args: Any, id: int = 1) -> list[Any]:
        """Emit and return the values of the ack; events before it are ignored."""
        prefix = "" if namespace == "/" else f"{namespace},"
        await self.send(f"2{prefix}{id}{json.dumps(args)}")
        head = f"3{prefix}{id}"
        while isinstance(answer := await self.receive(), str | bytes):
            if isinstance(answer, str) and answer.startswith(head + "["):
                values: list[Any] = json.loads(answer.removeprefix(head))
                return values
        raise AssertionError("closed without an ack")

    async def closed(self) -> list[str | bytes]:
        """Wait until the server closes the connection; returns the messages before."""
        seen = []
        async with asyncio.timeout(SECONDS):
            while (message := await self.receive()) is not None:
                seen.append(message)
        return seen

    async def close(self) -> None:
        await self._socket.close()


def connect_packet(namespace: str, auth: Any = None) -> str:
    head = "0" if namespace == "/" else f"0{namespace},"
    return head if auth is None else head + json.dumps(auth)
