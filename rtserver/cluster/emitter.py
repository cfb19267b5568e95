"""`Emitter`: emit to the clients of a cluster from any other process, in the wire of Node's `@socket.io/redis-emitter`.

async with Emitter("redis://localhost:6379") as emitter:
    await emitter.of("/chat").to("lobby").emit("message", {"text": "hello"})
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any

from redis.asyncio import Connection

from rtserver.cluster.connection import FAILURES, closed, connector, opened
from rtserver.errors import Unavailable
from rtserver.protocol import adapter as wire
from rtserver.protocol.adapter import EMITTER_UID, Channels, Options, RequestType
from rtserver.protocol.packets import RESERVED_EVENTS


class _Publisher:
    """One connection, opened when needed; a publish that fails on an old one is not repeated."""

    def __init__(self, url: str, timeout: float) -> None:
        self._connect = connector(url, "rtserver-emitter")
        self._timeout = timeout
        self._connection: Connection | None = None
        self._lock = asyncio.Lock()

    async def publish(self, channel: str, payload: bytes) -> None:
        async with self._lock:
            try:
                async with asyncio.timeout(self._timeout):
                    await self._send(await self._open(), channel, payload)
            except FAILURES as error:
                await self._close()
                raise Unavailable(f"Redis is not available: {error}") from error

    async def close(self) -> None:
        async with self._lock:
            await self._close()

    async def _open(self) -> Connection:
        if self._connection is not None and await self._connection.can_read():
            await self._close()  # nothing is asked, so this is the end of the stream
        if self._connection is None:
            self._connection = await opened(self._connect)
        return self._connection

    async def _send(self, connection: Connection, channel: str, payload: bytes) -> None:
        await connection.send_command("PUBLISH", channel, payload, check_health=False)
        await connection.read_response()

    async def _close(self) -> None:
        if self._connection is not None:
            await closed(self._connection)
            self._connection = None


@dataclass(frozen=True, slots=True)
class BroadcastOperator:
    """Whom to address; every step makes a new one. Awaiting ends when Redis has taken the message.

    Raises `Unavailable` when Redis cannot be reached, `TypeError` for what cannot be sent.
    """

    _publisher: _Publisher
    _key: str
    _nsp: str = "/"
    _options: Options = field(default_factory=Options)

    def of(self, namespace: str) -> BroadcastOperator:
        nsp = namespace if namespace.startswith("/") else f"/{namespace}"
        return replace(self, _nsp=nsp)

    def to(self, *rooms: str) -> BroadcastOperator:
        """Members of any of these; more calls add more rooms."""
        return self._with(rooms=tuple(dict.fromkeys((*self._options.rooms, *rooms))))

    in_ = to

    def except_(self, *rooms: str) -> BroadcastOperator:
        return self._with(except_=tuple(dict.fromkeys((*self._options.except_, *rooms))))

    @property
    def volatile(self) -> BroadcastOperator:
        """May be dropped for a client that is not ready to receive."""
        return self._with(flags={**self._options.flags, "volatile": True})

    def compress(self, compress: bool) -> BroadcastOperator:
        return self._with(flags={**self._options.flags, "compress": compress})

    async def emit(self, event: str, *args: Any) -> None:
        if event in RESERVED_EVENTS:
            raise ValueError(f"{event!r} is a reserved event name")
        channel = self._channels.broadcast_to(self._options.rooms)
        payload = wire.encode_broadcast(EMITTER_UID, self._nsp, [event, *args], self._options)
        await self._publisher.publish(channel, payload)

    async def sockets_join(self, *rooms: str) -> None:
        await self._request(RequestType.REMOTE_JOIN, rooms=list(rooms))

    async def sockets_leave(self, *rooms: str) -> None:
        await self._request(RequestType.REMOTE_LEAVE, rooms=list(rooms))

    async def disconnect_sockets(self, close: bool = False) -> None:
        """`close`: the whole connection, not only this namespace."""
        await self._request(RequestType.REMOTE_DISCONNECT, close=close)

    async def server_side_emit(self, event: str, *args: Any) -> None:
        """To the `@server_event` handlers of every server, once each."""
        request = wire.encode_request(RequestType.SERVER_SIDE_EMIT, uid=EMITTER_UID, data=[event, *args])
        await self._publisher.publish(self._channels.request, request)

    async def _request(self, kind: RequestType, **fields: Any) -> None:
        request = wire.encode_request(kind, uid=None, opts=self._options.wire(), **fields)
        await self._publisher.publish(self._channels.request, request)

    @property
    def _channels(self) -> Channels:
        return Channels(self._key, self._nsp)

    def _with(self, **changes: Any) -> BroadcastOperator:
        return replace(self, _options=replace(self._options, **changes))


class Emitter:
    """`url`: the Redis of the cluster; `key`: the prefix of its channels; `timeout`: seconds for one message."""

    def __init__(self, url: str, *, key: str = "socket.io", timeout: float = 5.0) -> None:
        self._publisher = _Publisher(url, timeout)
        self._everybody = BroadcastOperator(self._publisher, key)

    def of(self, namespace: str) -> BroadcastOperator:
        return self._everybody.of(namespace)

    def to(self, *rooms: str) -> BroadcastOperator:
        return self._everybody.to(*rooms)

    in_ = to

    def except_(self, *rooms: str) -> BroadcastOperator:
        return self._everybody.except_(*rooms)

    @property
    def volatile(self) -> BroadcastOperator:
        return self._everybody.volatile

    async def emit(self, event: str, *args: Any) -> None:
        await self._everybody.emit(event, *args)

    async def close(self) -> None:
        await self._publisher.close()

    async def __aenter__(self) -> Emitter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
