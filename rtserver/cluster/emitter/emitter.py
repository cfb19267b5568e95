"""Emitters: `Emitter` and `SyncEmitter` reach the clients of a cluster from any other process, in the wire format of
Node's `@socket.io/redis-emitter`.

    async with Emitter("redis://localhost:6379") as emitter:
        await emitter.of("/chat").to("lobby").emit("message", {"text": "hello"})

    with SyncEmitter("redis://localhost:6379") as emitter:
        emitter.of("/chat").to("lobby").emit("message", {"text": "hello"})
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from types import TracebackType
from typing import Any, Generic, TypeVar

from msgspec.structs import replace

from rtserver.cluster.emitter.publisher import BlockingPublisher, Publisher
from rtserver.cluster.emitter.wires import WIRES, Kind, Message, Wire
from rtserver.cluster.redis.address import parse_redis_url
from rtserver.cluster.redis.bus import MAX_MESSAGE
from rtserver.cluster.redis.names import DEFAULT_PREFIX
from rtserver.protocol.adapter import Options, RequestType, both_forms
from rtserver.protocol.adapter.signing import Seal
from rtserver.sio.broadcast.operator import check_event_name, check_server_event_name
from rtserver.sio.broadcast.room_names import RoomName, flat_rooms

Sent = TypeVar("Sent")
"""The number of servers, or an awaitable of it."""
TIMEOUT = 5.0
"""Seconds."""


class EmitOperator(Generic[Sent]):
    """First the target, then the operation: the operator of the server, with the operations that work from outside.

    Immutable: every step returns a new operator, so one may be kept and used again. `emit` and the other operations
    return the number of servers that Redis passed the message to (in a Redis Cluster: those on one node). They raise
    `Unavailable` when Redis cannot be reached, `TypeError` for a value that cannot be sent, `ValueError` for a reserved
    name.
    """

    __slots__ = ("_nsp", "_options", "_publish", "_wire")

    def __init__(
        self, publish: Callable[[str, bytes], Sent], wire: Wire, nsp: str = "/", options: Options | None = None
    ) -> None:
        self._publish = publish
        self._wire = wire
        self._nsp = nsp
        self._options = options or Options()

    def of(self, namespace: str) -> EmitOperator[Sent]:
        """Address this namespace; the slash may be omitted."""
        nsp = namespace if namespace.startswith("/") else f"/{namespace}"
        return EmitOperator(self._publish, self._wire, nsp, self._options)

    def to(self, *rooms: RoomName | Iterable[RoomName]) -> EmitOperator[Sent]:
        """Address the members of these rooms too; a client in several of them is addressed once."""
        return self._with(rooms=tuple(dict.fromkeys((*self._options.rooms, *flat_rooms(rooms)))))

    in_ = to

    def except_(self, *rooms: RoomName | Iterable[RoomName]) -> EmitOperator[Sent]:
        """Exclude the members of these rooms."""
        return self._with(except_=tuple(dict.fromkeys((*self._options.except_, *flat_rooms(rooms)))))

    @property
    def volatile(self) -> EmitOperator[Sent]:
        """The event may be dropped for a client whose connection is not ready for it."""
        return self._with(flags={**self._options.flags, "volatile": True})

    def compress(self, on: bool) -> EmitOperator[Sent]:
        """`False`: do not compress the event on WebSockets that use compression."""
        return self._with(flags={**self._options.flags, "compress": on})

    def emit(self, event: str, *args: Any) -> Sent:
        """Emit to the addressed clients. Does not wait for delivery."""
        return self._send(self._wire.broadcast(self._nsp, [check_event_name(event), *args], self._options))

    def sockets_join(self, *rooms: RoomName | Iterable[RoomName]) -> Sent:
        """Make the addressed clients join these rooms."""
        return self._request(RequestType.REMOTE_JOIN, rooms=list(flat_rooms(rooms)))

    def sockets_leave(self, *rooms: RoomName | Iterable[RoomName]) -> Sent:
        """Make the addressed clients leave these rooms."""
        return self._request(RequestType.REMOTE_LEAVE, rooms=both_forms(flat_rooms(rooms)))

    def disconnect_sockets(self, close: bool = False) -> Sent:
        """Disconnect the addressed clients from the namespace; with `close`, close their whole connection."""
        return self._request(RequestType.REMOTE_DISCONNECT, close=close)

    def server_side_emit(self, name: str, *args: Any) -> Sent:
        """Call `@server_event(name)` of this namespace on every server."""
        data = [check_server_event_name(name), *args]
        return self._send(self._wire.request(self._nsp, RequestType.SERVER_SIDE_EMIT, data=data))

    def _request(self, kind: RequestType, **fields: Any) -> Sent:
        return self._send(self._wire.request(self._nsp, kind, opts=self._options.wire(), **fields))

    def _send(self, message: Message) -> Sent:
        channel, payload = message
        if len(payload) > MAX_MESSAGE:
            raise ValueError(f"a message of {len(payload)} bytes is more than any server takes ({MAX_MESSAGE})")
        return self._publish(channel, payload)

    def _with(self, **changes: Any) -> EmitOperator[Sent]:
        return EmitOperator(self._publish, self._wire, self._nsp, replace(self._options, **changes))


def _wire_and_seal(url: str, key: str, adapter: Kind, secret: str | None) -> tuple[Wire, Seal | None]:
    if adapter == "sharded" and parse_redis_url(url).kind == "cluster":
        raise ValueError("an emitter cannot publish to the sharded channels of a Redis Cluster: use the HTTP API")
    return WIRES[adapter](key), None if secret is None else Seal([secret])


class Emitter(EmitOperator[Coroutine[Any, Any, int]]):
    """For code with asyncio: operations are awaited.

    `url`: the Redis of the cluster; `timeout`: seconds for one message. `key`, `adapter` and `secret`: its servers'
    RTSERVER_REDIS_KEY, RTSERVER_REDIS_ADAPTER and (the first of) RTSERVER_CLUSTER_SECRET.
    """

    __slots__ = ("_publisher",)

    def __init__(
        self,
        url: str,
        *,
        key: str = DEFAULT_PREFIX,
        timeout: float = TIMEOUT,
        adapter: Kind = "classic",
        secret: str | None = None,
    ) -> None:
        wire, seal = _wire_and_seal(url, key, adapter, secret)
        self._publisher = Publisher(url, timeout, wire.command, seal)
        super().__init__(self._publisher.publish, wire)

    async def close(self) -> None:
        """Close the connection."""
        await self._publisher.close()

    async def __aenter__(self) -> Emitter:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class SyncEmitter(EmitOperator[int]):
    """For code without asyncio (Django, Flask, Celery, scripts): each call returns when Redis has the message.

    Threads may share an emitter, and it survives a fork. In a coroutine it would block the event loop: use `Emitter`.
    """

    __slots__ = ("_publisher",)

    def __init__(
        self,
        url: str,
        *,
        key: str = DEFAULT_PREFIX,
        timeout: float = TIMEOUT,
        adapter: Kind = "classic",
        secret: str | None = None,
    ) -> None:
        wire, seal = _wire_and_seal(url, key, adapter, secret)
        self._publisher = BlockingPublisher(url, timeout, wire.command, seal)
        super().__init__(self._publisher.publish, wire)

    def close(self) -> None:
        """Close the connection, and end the thread."""
        self._publisher.close()

    def __enter__(self) -> SyncEmitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
