"""Cluster adapter: broadcasts and room operations across servers, over Redis. `RedisAdapter` speaks the protocol of
Node's classic `@socket.io/redis-adapter`.

Owns the requests that this server sends; `request_handlers` owns those that it receives. Invariants:
1. Operations on local clients are executed directly; Redis only carries them to the other servers. So our own messages
   are ignored, by uid, when they come back. (Node executes its own join, leave and disconnect when they come back: the
   same result, later.)
2. No operation waits for a Redis that is down: the result is the local part, marked as partial. Nor does one wait
   twice for a server that hangs: see `rtserver.cluster.adapter.link`.
3. A broadcast is published before anything is awaited, so that emits keep their order.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rtserver.cluster.adapter.classic import ClassicLink
from rtserver.cluster.adapter.link import Link, options_of, remote_sockets
from rtserver.cluster.adapter.peer_requests import PeerRequests
from rtserver.cluster.adapter.pending_replies import PendingAcks
from rtserver.cluster.adapter.request_handlers import RequestHandlers
from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.names import DEFAULT_PREFIX
from rtserver.protocol import adapter as wire
from rtserver.protocol.adapter import RequestType, Response
from rtserver.sio.broadcast.adapter import AckTimeout, Adapter, Screen
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.broadcast.target import Target

if TYPE_CHECKING:
    from rtserver.sio.broadcast.interfaces import AdapterContext

GRACE = 0.1
"""The part of the timeout that unresponsive peers get once all others have responded."""


class ClusterAdapter(Adapter, ABC):
    """The part that is independent of the wire format. `requests_timeout`: seconds to wait for other servers."""

    def __init__(self, requests_timeout: float) -> None:
        self._grace = requests_timeout * GRACE
        self._peer_requests = PeerRequests(requests_timeout)
        self._links: dict[str, Link] = {}
        self._screens: dict[str, Screen] = {}
        self._request_handlers = RequestHandlers(self)

    @abstractmethod
    def _new_link(self, nsp: str) -> Link: ...

    async def stop(self) -> None:
        """Unsubscribe, and cancel what is running for other servers."""
        for nsp in list(self._links):
            self.namespace_removed(nsp)
        await self._peer_requests.stop()
        await self._request_handlers.stop()

    def namespace_added(self, nsp: str) -> None:
        if nsp not in self._links:
            self._links[nsp] = link = self._new_link(nsp)
            link.screen = self._screens.get(nsp)
            link.open(self._request_handlers)

    def namespace_removed(self, nsp: str) -> None:
        link = self._links.pop(nsp, None)
        if link is not None:
            link.close()

    def screen(self, nsp: str, accepts: Screen) -> None:
        self._screens[nsp] = accepts
        if nsp in self._links:
            self._links[nsp].screen = accepts

    # Operations on the whole cluster.

    def broadcast(self, nsp: str, args: list[Any], target: Target) -> None:
        self.local_broadcast(nsp, args, target)
        link = self._link_for(nsp, target)
        if link is not None:
            link.broadcast(args, options_of(target))

    async def broadcast_with_ack(self, nsp: str, args: list[Any], target: Target, timeout: float) -> list[Any]:
        link = self._link_for(nsp, target)
        if link is None:
            return await super().broadcast_with_ack(nsp, args, target, timeout)
        if not link.ready:
            return await self._broadcast_with_ack_here(nsp, args, target, timeout)
        acks = PendingAcks(unresponsive=link.unresponsive.count, keep=target.flags.keep)
        options = options_of(target, timeout)
        with link.expecting(acks) as request_id:
            link.broadcast_request(request_id, args, options)
            counting = asyncio.create_task(self._count_servers(link, acks))
            try:
                left = await self._collect_local(nsp, args, target, timeout, acks)
                complete = await acks.wait(left, link.unresponsive.grace)
            finally:
                counting.cancel()
        if acks.servers_unknown and acks.answered:
            return PartialList(acks.values, partial=True)
        link.missed(acks.missing)
        if not complete:
            raise AckTimeout(acks.values, acks.expected)
        return acks.values

    async def _broadcast_with_ack_here(self, nsp: str, args: list[Any], target: Target, timeout: float) -> list[Any]:
        """Ask the local clients only, while Redis is down; the result is partial."""
        try:
            return PartialList(await super().broadcast_with_ack(nsp, args, target, timeout), partial=True)
        except AckTimeout as late:
            raise AckTimeout(late.responses) from None

    async def _count_servers(self, link: Link, acks: PendingAcks) -> None:
        acks.expect_servers(await link.count_servers())

    async def _collect_local(
        self, nsp: str, args: list[Any], target: Target, timeout: float, acks: PendingAcks
    ) -> float:
        """Broadcast to local clients and collect their acks; return the seconds of `timeout` that are left."""
        waiting = 0

        def on_count(clients: int) -> None:
            nonlocal waiting
            waiting += clients
            acks.add_client_count(clients)

        def on_ack(value: Any) -> None:
            nonlocal waiting
            waiting -= 1
            acks.add_ack(value)

        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        if not await self.local_broadcast_with_ack(nsp, args, target, timeout, on_count, on_ack):
            return 0.0
        acks.remove_clients(waiting)  # clients that did not answer have disconnected
        return max(0.0, deadline - loop.time())

    async def fetch_sockets(self, nsp: str, target: Target) -> list[RemoteSocket]:
        sockets = self.local_sockets(nsp, target)
        link = self._link_for(nsp, target)
        if link is None:
            return sockets
        opts = options_of(target).wire(flags=target.flags.page is not None)
        replies = await self._peer_requests.request(link, RequestType.REMOTE_FETCH, items="sockets", opts=opts)
        found = {socket.id: socket for socket in sockets}
        for response in replies.responses:
            for socket in remote_sockets(self, nsp, response.items("sockets")):
                found.setdefault(socket.id, socket)
        return PartialList(found.values(), partial=replies.partial, responders=self._responders(replies.responses))

    async def all_rooms(self, nsp: str) -> set[str]:
        rooms = set(self.local_rooms(nsp))
        link = self._links.get(nsp)
        if link is None:
            return rooms
        replies = await self._peer_requests.request(link, RequestType.ALL_ROOMS, items="rooms")
        for response in replies.responses:
            rooms |= wire.texts(response.items("rooms"))
        return PartialSet(rooms, partial=replies.partial, responders=self._responders(replies.responses))

    async def sockets_join(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        rooms = list(rooms)
        self._request(nsp, target, RequestType.REMOTE_JOIN, rooms=rooms)
        self.local_join(nsp, target, rooms)

    async def sockets_leave(self, nsp: str, target: Target, rooms: Iterable[str]) -> None:
        rooms = list(rooms)
        self._request(nsp, target, RequestType.REMOTE_LEAVE, rooms=wire.both_forms(rooms))
        self.local_leave(nsp, target, rooms)

    async def disconnect_sockets(self, nsp: str, target: Target, close: bool) -> None:
        self._request(nsp, target, RequestType.REMOTE_DISCONNECT, close=close)
        await self.local_disconnect(nsp, target, close)

    async def server_side_emit(self, nsp: str, args: list[Any]) -> None:
        link = self._links.get(nsp)
        if link is not None:
            link.request(RequestType.SERVER_SIDE_EMIT, data=args)

    async def server_side_emit_with_ack(self, nsp: str, args: list[Any], timeout: float) -> list[Any]:
        link = self._links.get(nsp)
        if link is None:
            return []
        replies = await self._peer_requests.call_handlers(link, args, timeout)
        values = [response.body.get("data") for response in replies.responses]
        if replies.missing and link.ready:
            raise AckTimeout(values, replies.expected)
        return PartialList(values, partial=replies.partial)

    # The other servers.

    def _responders(self, responses: Iterable[Response]) -> set[str]:
        named = (response.body.get("instance") for response in responses)
        return {self.server.instance_id, *(name for name in named if isinstance(name, str))}

    def _link_for(self, nsp: str, target: Target) -> Link | None:
        return None if target.flags.local else self._links.get(nsp)

    def _request(self, nsp: str, target: Target, kind: RequestType, **fields: Any) -> None:
        link = self._link_for(nsp, target)
        if link is not None:
            link.request(kind, opts=options_of(target).wire(), **fields)


class RedisAdapter(ClusterAdapter):
    """The classic wire format. The caller starts the bus before the adapter and stops it after."""

    def __init__(
        self,
        bus: RedisBus,
        *,
        key: str = DEFAULT_PREFIX,
        requests_timeout: float = 5.0,
        specific_response_channel: bool = False,
    ) -> None:
        super().__init__(requests_timeout)
        self._bus = bus
        self._key = key
        self._specific = specific_response_channel

    def bind(self, server: AdapterContext) -> None:
        super().bind(server)
        self._bus.handle_within(server.engine.cork)

    def _new_link(self, nsp: str) -> Link:
        return ClassicLink(self._bus, self._key, nsp, grace=self._grace, specific=self._specific)
