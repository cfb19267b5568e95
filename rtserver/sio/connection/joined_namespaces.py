"""Joined namespaces of one connection: joining, leaving, and the end of the connection.

1. A second CONNECT to a namespace that is connected or connecting closes the session.
2. The rate of CONNECTs is limited to what a client needs that joins all its namespaces, as each costs the check of a
   token and a log line.
3. Leaving a namespace and joining it again, by this connection or another, refills no rate limit
   (`rtserver.sio.dispatch.rate_limits`). What is left of the rate of CONNECTs goes to the next connection from the
   address.
4. A rejected connection (see `limits.connection_limits`) receives CONNECT_ERROR on its first CONNECT, and is closed
   one second later.
5. The disconnect handler of a client runs at once, as in Node: a running handler may be waiting for just this. That one
   goes on, and after it the events that were received before the end. They find a client that is gone: it joins no room
   and receives nothing. When the disconnect handler runs, the connect handler has finished and `connected` has begun.
6. A client that the server disconnects is expelled: its events that wait are dropped, as in Node.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from rtserver.errors import Refused
from rtserver.ids import new_sid
from rtserver.protocol import packets
from rtserver.sio.connection.connect import admit
from rtserver.sio.connection.deadline import Deadline
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.limits.connection_limits import ConnectionSlot, TooManyConnections

if TYPE_CHECKING:
    from rtserver.engine.session.prepared_message import PreparedMessage
    from rtserver.engine.session.session import Session
    from rtserver.sio.broadcast.rooms import Rooms
    from rtserver.sio.client.client import Client
    from rtserver.sio.client.handshake import Handshake
    from rtserver.sio.connection.interfaces import ConnectionServer

log = structlog.get_logger("rtserver.sio")

MAX_LEFT_NAMESPACES = 64
"""Namespaces that a connection has left and that are remembered for rule 1 of `connection`."""


class JoinedNamespaces:
    """The clients of one connection, one for each namespace. `Connection` derives from it."""

    __slots__ = (
        "_clients", "_closing", "_connect_bucket", "_connecting", "_deadline", "_left", "closed", "engine_session",
        "handshake", "id", "registered_clients", "server", "slot",
    )  # fmt: skip

    def __init__(
        self, server: ConnectionServer, engine_session: Session, handshake: Handshake, slot: ConnectionSlot
    ) -> None:
        self.server = server
        self.engine_session = engine_session
        self.id = engine_session.id
        self.handshake = handshake
        self.slot = slot
        self.closed = False
        self.registered_clients = 0
        """Clients registered with the server, including those that are connecting or leaving."""
        self._clients: dict[str, Client] = {}
        self._connecting: dict[str, asyncio.Task[Any] | None] = {}
        self._connect_bucket = server.connection_limiter.connects_of(handshake.address)
        self._left: dict[str, None] = {}
        """The namespaces that were left."""
        self._closing = False
        self._deadline = Deadline(self, server.limits.connect_timeout, server.identity_leeway)

    @property
    def clients(self) -> list[Client]:
        return list(self._clients.values())

    @property
    def ever_joined(self) -> bool:
        """Whether a namespace has ever been joined."""
        return bool(self._clients or self._left)

    @property
    def connecting(self) -> bool:
        return bool(self._connecting)

    def runs_connect_handler(self, nsp: str) -> bool:
        """Whether the current task is the one that runs the connect handler of this namespace."""
        task = self._connecting.get(nsp)
        return task is not None and task is asyncio.current_task()

    @property
    def transport(self) -> str:
        return self.engine_session.transport

    def push(self, message: PreparedMessage, volatile: bool = False) -> None:
        self.engine_session.push(message, volatile)

    def _start_connect(self, nsp: str, handshake: Handshake) -> None:
        if nsp in self._clients or nsp in self._connecting:
            raise packets.PacketError("second CONNECT")
        if self._connect_bucket.take(time.monotonic()):
            raise packets.PacketError("too many CONNECTs")
        if self.slot.refused is not None:
            self._refuse(nsp, self.slot.refused)
            return
        if len(self._clients) + len(self._connecting) >= self.server.limits.max_namespaces:
            self._refuse(nsp, Refused("Too many namespaces", code="rate_limited"))
            return
        self._connecting[nsp] = None
        self.server.spawn(self._connect(nsp, handshake))

    async def _connect(self, nsp: str, handshake: Handshake) -> None:
        self._connecting[nsp] = asyncio.current_task()
        try:
            client = await admit(self, nsp, handshake)
        except Refused as refused:
            self._refuse(nsp, refused)
        else:
            if client is not None:
                self._accept(client)
        finally:
            del self._connecting[nsp]

    def _refuse(self, nsp: str, refused: Refused) -> None:
        log.info("connect_refused", namespace=nsp[:100], code=refused.code, address=self.handshake.address)
        self.server.metrics.refused(refused.code)
        self.push(dispatcher.connect_error(self.server.encode_packet, nsp, self._connect_error_payload(refused)))
        if isinstance(refused, TooManyConnections):
            self._deadline.shorten()

    def new_id(self, nsp: str) -> str:
        """The socket id for a client that joins a namespace."""
        return new_sid()

    def _connect_payload(self, client: Client) -> Any:
        """The payload of the answer to CONNECT."""
        return {"sid": client.id}

    def _connect_error_payload(self, refused: Refused) -> Any:
        """The payload of CONNECT_ERROR."""
        return refused.payload()

    def _accept(self, client: Client) -> None:
        nsp = client.namespace_name
        self._clients[nsp] = client
        self._left.pop(nsp, None)
        self.server.room_table(nsp, client.handler.room_presence).add(client)
        self.server.metrics.namespace_connected(client.handler.label)
        self.push(self.server.encode_packet(packets.CONNECT, nsp, self._connect_payload(client)))
        client.mark_connected()
        if client.handler.has_connected:
            client.event_queue.put(partial(dispatcher.run_connected, client))
        self._deadline.update()

    def disconnect(self, client: Client) -> None:
        """Disconnect a client from its namespace, on the server's behalf."""
        if self._clients.get(client.namespace_name) is client:
            self.push(self.server.encode_packet(packets.DISCONNECT, client.namespace_name))
            self._remove_client(client, self.server.reason.SERVER_DISCONNECT)

    def disconnect_all(self) -> None:
        """Disconnect all clients and close the session; stock clients do not reconnect."""
        for client in self.clients:
            self.disconnect(client)
        self.close(self.server.reason.SERVER_DISCONNECT)

    def close(self, reason: str) -> None:
        """Close the session once its queued messages have been sent; stock clients reconnect."""
        if not self._closing:
            self._closing = True
            self.engine_session.close(reason)

    def session_closed(self, reason: str) -> None:
        """The session has ended: remove all clients."""
        self.closed = True
        self.server.engine.logger.info("%s: session closed (%s)", self.engine_session.public_id, reason)
        self.server.connection_limiter.release(self.slot)
        self.server.connection_limiter.keep_connects(self.handshake.address, self._connect_bucket)
        self._deadline.cancel()
        for client in self.clients:
            self._remove_client(client, reason)
        self.server.release_environ(self)

    def _remove_client(self, client: Client, reason: str) -> None:
        """Take a client out of all broadcasts, and run its disconnect handler (rule 5)."""
        nsp = client.namespace_name
        del self._clients[nsp]
        self._left[nsp] = None
        self.server.event_limiter.client_left(client)
        if len(self._left) > MAX_LEFT_NAMESPACES:
            del self._left[next(iter(self._left))]
        self.server.metrics.namespace_disconnected(client.handler.label)
        client.mark_gone(expelled=reason == self.server.reason.SERVER_DISCONNECT)
        rooms = self.server.room_table(nsp, client.handler.room_presence)
        if client.handler.has_disconnecting:
            rooms.start_leaving(client)
            self.server.spawn(self._run_disconnecting(client, reason, rooms))
        else:
            rooms.remove(client)
            self.server.spawn(self.server.finish_disconnect(client, reason))

    async def _run_disconnecting(self, client: Client, reason: str, rooms: Rooms[Any]) -> None:
        try:
            await dispatcher.run_disconnecting(client, reason)
        finally:
            rooms.finish_leaving(client)
            await self.server.finish_disconnect(client, reason)
