"""Sharded adapter: the protocol of Node's sharded Redis adapter. A server gets only the broadcasts for its own rooms.

1. Each room has a channel of its own. An instance is subscribed to it while it has a member of the room.
2. The SUBSCRIBE is sent in the iteration of the event loop after the join. As in Node, the join does not wait for it;
   so a broadcast of another server may be missed until Redis has the subscription.
3. After an interruption, the server is ready only when all current subscriptions are confirmed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from rtserver.cluster.adapter.cluster_adapter import ClusterAdapter
from rtserver.cluster.adapter.link import IncomingMessages, Link
from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.redis.address import RedisAddress
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.connection import FAILURES, ask, closed, connector, opened
from rtserver.cluster.redis.names import DEFAULT_PREFIX
from rtserver.cluster.redis.sharded_bus import ShardedRedisBus
from rtserver.cluster.redis.subscriber import Handler, Kind
from rtserver.errors import ConfigError, Unavailable
from rtserver.protocol.adapter import Broadcast, Misaddressed, Options, Request, RequestType, sharded
from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.interfaces import AdapterContext


_STRANGE = "it is for another namespace than its channel, or of a type that the sharded adapter has not"


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
    """The caller starts the bus before the adapter and stops it after."""

    def __init__(self, bus: ShardedBus, *, key: str = DEFAULT_PREFIX, requests_timeout: float = 5.0) -> None:
        super().__init__(requests_timeout)
        self._bus = bus
        self._key = key

    def bind(self, server: AdapterContext) -> None:
        super().bind(server)
        if isinstance(self._bus, RedisBus):
            self._bus.handle_within(server.engine.cork)

    async def start(self) -> None:
        await require_sharded_channels(self._bus.address)
        await super().start()

    def namespace_added(self, nsp: str) -> None:
        super().namespace_added(nsp)
        rooms, link = self.server.rooms_of(nsp), self._links[nsp]
        if rooms is not None and isinstance(link, ShardedLink):
            rooms.watch(link.sync_subscription)

    def _new_link(self, nsp: str) -> Link:
        return ShardedLink(self._bus, self._key, nsp, self._grace)

    async def all_rooms(self, nsp: str) -> set[str]:
        """This protocol has no request for rooms, so the sockets are requested, which list their rooms."""
        found = await self.fetch_sockets(nsp, Target())
        rooms = self.local_rooms(nsp).union(*({socket.id, *socket.rooms} for socket in found))
        if isinstance(found, PartialList):
            return PartialSet(rooms, partial=found.partial, responders=found.responders)
        return rooms


class ShardedClusterAdapter(ShardedAdapter):
    """On a Redis Cluster: the buses to its nodes start and stop with the adapter."""

    def __init__(self, shards: ShardedRedisBus, *, key: str = DEFAULT_PREFIX, requests_timeout: float = 5.0) -> None:
        super().__init__(shards, key=key, requests_timeout=requests_timeout)
        self.shards = shards

    async def start(self) -> None:
        await super().start()
        await self.shards.start()

    async def stop(self) -> None:
        await super().stop()
        await self.shards.stop()


class ShardedLink(Link):
    """The link of a namespace, in the sharded wire format."""

    __slots__ = ("_bus", "_incoming", "_room_channels", "channels")

    def __init__(self, bus: ShardedBus, key: str, nsp: str, grace: float = 0.5) -> None:
        super().__init__(nsp, sharded.new_uid(), grace)
        self.channels = sharded.ShardedChannels(key, nsp)
        self._bus = bus
        self._room_channels: dict[str, str] = {}

    def open(self, incoming: IncomingMessages) -> None:
        self._incoming = incoming
        self._bus.ssubscribe(self.channels.public, self._on_message)
        self._bus.ssubscribe(self.channels.response_to(self.uid), self._on_response)

    def close(self) -> None:
        self._bus.sunsubscribe(self.channels.public, self._on_message)
        self._bus.sunsubscribe(self.channels.response_to(self.uid), self._on_response)
        for channel in self._room_channels.values():
            self._bus.sunsubscribe(channel, self._on_message)
        self._room_channels.clear()

    def sync_subscription(self, room: str) -> None:
        """Subscribe to the channel of a room that has a local member; unsubscribe from one that has none."""
        channel = self.channels.of_room(room)
        if channel is None or (room in self._room_channels) is self._incoming.has_room(self, room):
            return
        if room in self._room_channels:
            self._bus.sunsubscribe(self._room_channels.pop(room), self._on_message)
        else:
            self._room_channels[room] = channel
            self._bus.ssubscribe(channel, self._on_message)

    @property
    def ready(self) -> bool:
        return self._bus.ready

    async def count_servers(self) -> int | None:
        for channel in (self.channels.public, self.channels.response_to(self.uid)):  # they may be on different nodes
            if not await self._bus.wait_subscribed(channel, kind="S"):
                return None
        try:
            return (
                await self._bus.shard_subscribers(self.channels.public) or None
            )  # 0 cannot be: this one is subscribed
        except Unavailable:
            return None

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
        if message is None:
            raise Misaddressed(_STRANGE)
        if message.uid == self.uid:
            return
        if isinstance(message, Broadcast):
            self._incoming.on_broadcast(self, message)
        else:
            self._incoming.on_request(self, message)

    def _on_response(self, channel: str, payload: bytes) -> None:
        response = sharded.decode_response(payload, self.nsp)
        if response is None:
            raise Misaddressed(_STRANGE)
        self._on_peer_response(response)


async def require_sharded_channels(address: RedisAddress) -> None:
    """Raise `ConfigError` when Redis has no sharded channels. A Redis that is unreachable passes the check."""
    try:
        connection = await opened(connector(address))
    except FAILURES:
        return
    try:
        known = await ask(connection, "COMMAND", "INFO", "SSUBSCRIBE")
    except FAILURES:  # the user may lack the right to
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
