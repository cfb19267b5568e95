"""The server under attack as a client reaches it: its address, tokens for it, and WebSockets in a namespace."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import jwt
import msgpack

CONNECT, EVENT, ACK = 0, 2, 3
MAX_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Target:
    port: int
    secret: str
    api_key: str
    parser: str = "json"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, user: str) -> str:
        return jwt.encode({"sub": user, "name": user, "exp": int(time.time()) + 3600}, self.secret)

    async def socket(self, session: aiohttp.ClientSession) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket that has opened the Engine.IO session and has joined no namespace."""
        socket = await session.ws_connect(f"{self.url}/socket.io/?EIO=4&transport=websocket", max_msg_size=MAX_BYTES)
        await socket.receive_str()
        return socket

    async def client(self, session: aiohttp.ClientSession, user: str, namespace: str = "/chat") -> Client:
        """A client of this user that has joined the namespace."""
        client = Client(await self.socket(session), namespace, self.parser)
        await client.send(CONNECT, {"token": self.token(user)})
        answer = await client.packet()
        if answer["type"] != CONNECT:
            raise ConnectionError(str(answer))
        return client


class Client:
    """One client of a namespace. It calls one event at a time; events of others are skipped."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, namespace: str, parser: str) -> None:
        self.socket = socket
        self._namespace = namespace
        self._msgpack = parser == "msgpack"
        self._acks = 0

    async def send(self, kind: int, data: Any, ack: int | None = None) -> None:
        if self._msgpack:
            packet = {"type": kind, "nsp": self._namespace, "data": data, **({} if ack is None else {"id": ack})}
            await self.socket.send_bytes(msgpack.packb(packet))
        else:
            await self.socket.send_str(f"4{kind}{self._namespace},{'' if ack is None else ack}{json.dumps(data)}")

    async def packet(self) -> dict[str, Any]:
        """The next packet of the namespace; answers pings meanwhile."""
        while True:
            message = await self.socket.receive()
            if message.type is aiohttp.WSMsgType.BINARY:
                packet: dict[str, Any] = msgpack.unpackb(message.data)
                return packet
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise ConnectionError(f"the server closed the connection: {message.extra or message.type.name}")
            text: str = message.data
            if text == "2":
                await self.socket.send_str("3")
            elif text.startswith("4"):
                return _packet(text)

    async def call(self, event: str, payload: Any) -> Any:
        """What the server answers to the event."""
        self._acks += 1
        await self.send(EVENT, [event, payload], self._acks)
        while (packet := await self.packet()).get("id") != self._acks or packet["type"] != ACK:
            pass
        return packet["data"][0]


def _packet(text: str) -> dict[str, Any]:
    """A Socket.IO packet in the JSON encoding, without attachments."""
    rest = text[2:].partition(",")[2]
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    packet: dict[str, Any] = {"type": int(text[1]), "data": json.loads(rest[len(digits) :] or "null")}
    return packet | ({"id": int(digits)} if digits else {})
