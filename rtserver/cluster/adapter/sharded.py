"""Makes many servers one in the protocol of Node's sharded Redis adapter: each gets only what is for the rooms it has.

A room has a channel of its own, to which an instance listens from the first member to the last one that it has. The
subscription is on its way to Redis in the turn of the event loop after the join; as in Node, nobody waits for it, so
what another server emits to the room before Redis has it does not arrive. All subscriptions of the moment are confirmed
again before the server is ready after an interruption.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rtserver.cluster.adapter.cluster_adapter import ClusterAdapter
from rtserver.cluster.adapter.link import Incoming, Link
from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.redis.address import RedisAddress
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.connection import FAILURES, closed, connector, opened
from rtserver.cluster.redis.sharded_bus import ShardedRedisBus
from rtserver.cluster.redis.subscriber import Handler, Kind
from rtserver.errors import ConfigError, Unavailable
from rtserver.protocol.adapter import Broadcast, Options, Request, RequestType, sharded
from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.interfaces import AdapterContext


class ShardedBus(Protocol):
    """A `RedisBus`, or the `ShardedRedisBus` of a Redis Cluster."""

    address: RedisAddress

    @property
    def ready(self) -> bool: ...

    def spublish(self, channel: str, payload: bytes) -> None: ...

    def ssubscribe(self, channel: str, handler: Handler) -> None: ...

    def sunsubscribe(self, channel: str, handler: Handler) -> None: ...

    async def wait_subscribed(self, channel: str, timeout: float = 1.0, kind: Kind = "") -> bool: ...

    async def shard_subscribers(self, channel: str) -> int: ...


class ShardedAdapter(ClusterAdapter):
    """The bus is the caller's: it starts before and stops after the adapter."""

    def __init__(self, bus: ShardedBus, *, key: str = "socket.io", requests_timeout: float = 5.0) -> None:
        super().__init__(requests_timeout)
        self._bus = bus
        self._key = key

    def bind(self, server: AdapterContext) -> None:
        super().bind(server)
        if isinstance(self._bus, RedisBus):
            self._bus.handle_within(server.engine.cork)

    async def start(self) -> None:
        await refuse_old_redis(self._bus.address)
        await super().start()

    def namespace_added(self, nsp: str) -> None:
        super().namespace_added(nsp)
        rooms, link = self.server.rooms_of(nsp), self._links[nsp]
        if rooms is not None and isinstance(link, ShardedLink):
            rooms.watch(link.look_at)

    def _new_link(self, nsp: str) -> Link:
        return ShardedLink(self._bus, self._key, nsp, self._grace)

    async def all_rooms(self, nsp: str) -> set[str]:
        """This wire has no request for it, so everybody is asked for the sockets, which tell their rooms."""
        found = await self.fetch_sockets(nsp, Target())
        rooms = self.local_rooms(nsp).union(*({socket.id, *socket.rooms} for socket in found))
        if isinstance(found, PartialList):
            return PartialSet(rooms, partial=found.partial, heard=found.heard)
        return rooms


class ShardedClusterAdapter(ShardedAdapter):
    """On the nodes of a Redis Cluster, which start and stop with the adapter."""

    def __init__(self, shards: ShardedRedisBus, *, key: str = "socket.io", requests_timeout: float = 5.0) -> None:
        super().__init__(shards, key=key, requests_timeout=requests_timeout)
        self._shards = shards

    async def start(self) -> None:
        await super().start()
        await self._shards.start()

    async def stop(self) -> None:
        await super().stop()
        await self._shards.stop()


class ShardedLink(Link):
    __slots__ = ("_bus", "_incoming", "_rooms", "channels")

    def __init__(self, bus: ShardedBus, key: str, nsp: str, grace: float = 0.5) -> None:
        super().__init__(nsp, sharded.new_uid(), grace)
        self.channels = sharded.ShardedChannels(key, nsp)
        self._bus = bus
        self._rooms: dict[str, str] = {}

    def open(self, incoming: Incoming) -> None:
        self._incoming = incoming
        self._bus.ssubscribe(self.channels.public, self._on_message)
        self._bus.ssubscribe(self.channels.response_to(self.uid), self._on_response)

    def close(self) -> None:
        self._bus.sunsubscribe(self.channels.public, self._on_message)
        self._bus.sunsubscribe(self.channels.response_to(self.uid), self._on_response)
        for channel in self._rooms.values():
            self._bus.sunsubscribe(channel, self._on_message)
        self._rooms.clear()

    def look_at(self, room: str) -> None:
        """Listen to the room while somebody here is in it."""
        channel = self.channels.of_room(room)
        if channel is None or (room in self._rooms) is self._incoming.has_room(self, room):
            return
        if room in self._rooms:
            self._bus.sunsubscribe(self._rooms.pop(room), self._on_message)
        else:
            self._rooms[room] = channel
            self._bus.ssubscribe(channel, self._on_message)

    @property
    def ready(self) -> bool:
        return self._bus.ready

    async def servers(self) -> int:
        try:
            await self._bus.wait_subscribed(self.channels.response_to(self.uid), kind="S")
            return await self._bus.shard_subscribers(self.channels.public)
        except Unavailable:
            return 1

    def broadcast(self, args: Sequence[Any], options: Options) -> None:
        channel = self.channels.broadcast_to(options.rooms)
        self._bus.spublish(channel, sharded.encode_broadcast(self.uid, self.nsp, args, options))

    def broadcast_request(self, request_id: str, args: Sequence[Any], options: Options) -> None:
        message = sharded.encode_broadcast(self.uid, self.nsp, args, options, request_id)
        self._bus.spublish(self.channels.public, message)

    def request(self, kind: RequestType, *, request_id: str | None = None, **fields: Any) -> None:
        message = sharded.encode_request(kind, uid=self.uid, nsp=self.nsp, request_id=request_id, **fields)
        self._bus.spublish(self.channels.public, message)

    def respond(self, request: Request, kind: RequestType | None = None, **fields: Any) -> None:
        if request.request_id is None or request.uid is None:
            return
        request_id = request.request_id
        message = sharded.encode_response(
            kind or request.type, uid=self.uid, nsp=self.nsp, request_id=request_id, **fields
        )
        self._bus.spublish(self.channels.response_to(request.uid), message)

    def acknowledge(self, request: Request, value: Any) -> None:
        self.respond(request, RequestType.BROADCAST_ACK, packet=value)

    def _on_message(self, channel: str, payload: bytes) -> None:
        message = sharded.decode_message(payload, self.nsp)
        if message is None or message.uid == self.uid:
            return
        if isinstance(message, Broadcast):
            self._incoming.on_broadcast(self, message)
        else:
            self._incoming.on_request(self, message)

    def _on_response(self, channel: str, payload: bytes) -> None:
        response = sharded.decode_response(payload, self.nsp)
        if response is not None:
            self._take(response)


async def refuse_old_redis(address: RedisAddress) -> None:
    """Raises `ConfigError` when Redis is there and knows no sharded channels; one that is away is not waited for."""
    try:
        connection = await opened(connector(address))
    except FAILURES:
        return
    try:
        await connection.send_command("COMMAND", "INFO", "SSUBSCRIBE", check_health=False)
        known = await connection.read_response()
    except FAILURES:  # it may forbid the question
        return
    finally:
        await closed(connection)
    if not known or known[0] is None:
        raise ConfigError(
            [
                "RTSERVER_REDIS_ADAPTER=sharded needs Redis 7 or later, or Valkey: this Redis knows no sharded "
                "channels (SSUBSCRIBE). Use classic, or another Redis."
            ]
        )
