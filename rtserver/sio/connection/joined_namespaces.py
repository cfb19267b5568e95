"""The namespaces that one connection is in: joining, leaving, and the end of it all.

1. A namespace is CONNECTed once. A second CONNECT while connected or connecting closes.
2. CONNECTs come no faster than a client needs that joins all its namespaces: each costs a check of a token and a line
   in the log. Leaving a namespace and coming back does not refill the rates of its events.
3. Who was turned away at the gate is told so at its first CONNECT, and closed shortly after.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.engine.session.session import Session
from rtserver.errors import Refused
from rtserver.ids import new_sid
from rtserver.protocol import packets
from rtserver.rate_limit import Rate, TokenBucket
from rtserver.sio.broadcast.rooms import Rooms
from rtserver.sio.client.client import Client
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.connection.connect import admit
from rtserver.sio.connection.deadline import Deadline
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.limits.connection_limits import ConnectionSlot, TooManyConnections

if TYPE_CHECKING:
    from rtserver.sio.server import Server

log = structlog.get_logger("rtserver.sio")

MAX_REMEMBERED = 64
"""Namespaces that a connection has left and is remembered to have been in."""


class JoinedNamespaces:
    __slots__ = (
        "_clients", "_connecting", "_connects", "_deadline", "_left", "_shut",
        "closed", "gate_pass", "handshake", "id", "registered", "server", "session",
    )  # fmt: skip

    def __init__(self, server: Server, session: Session, handshake: Handshake, gate_pass: ConnectionSlot) -> None:
        self.server = server
        self.session = session
        self.id = session.id
        self.handshake = handshake
        self.gate_pass = gate_pass
        self.closed = False
        self.registered = 0
        """Clients that the server knows, those connecting and leaving included."""
        self._clients: dict[str, Client] = {}
        self._connecting: set[str] = set()
        self._connects = TokenBucket(Rate(server.bounds.max_namespaces), time.monotonic())
        self._left: dict[str, dict[str, TokenBucket] | None] = {}
        self._shut = False
        self._deadline = Deadline(self, server.bounds.connect_timeout, server.identity_leeway)

    @property
    def clients(self) -> list[Client]:
        return list(self._clients.values())

    @property
    def joined(self) -> bool:
        """Whether a namespace has ever been joined."""
        return bool(self._clients or self._left)

    @property
    def connecting(self) -> bool:
        return bool(self._connecting)

    @property
    def transport(self) -> str:
        return self.session.transport

    def push(self, message: PreparedMessage, volatile: bool = False) -> None:
        self.session.push(message, volatile)

    def _start_connect(self, nsp: str, handshake: Handshake) -> None:
        if nsp in self._clients or nsp in self._connecting:
            raise packets.PacketError("second CONNECT")
        if self._connects.take(time.monotonic()):
            raise packets.PacketError("too many CONNECTs")
        if self.gate_pass.refused is not None:
            self._refuse(nsp, self.gate_pass.refused)
            return
        if len(self._clients) + len(self._connecting) >= self.server.bounds.max_namespaces:
            self._refuse(nsp, Refused("Too many namespaces", code="rate_limited"))
            return
        self._connecting.add(nsp)
        self.server.spawn(self._connect(nsp, handshake))

    async def _connect(self, nsp: str, handshake: Handshake) -> None:
        try:
            client = await admit(self, nsp, handshake)
        except Refused as refused:
            self._refuse(nsp, refused)
        else:
            if client is not None:
                self._accept(client)
        finally:
            self._connecting.discard(nsp)

    def _refuse(self, nsp: str, refused: Refused) -> None:
        log.info("connect_refused", namespace=nsp[:100], code=refused.code, address=self.handshake.address)
        self.server.metrics.refused(refused.code)
        self.push(dispatcher.refusal(self.server.encode_packet, nsp, self._told(refused)))
        if isinstance(refused, TooManyConnections):
            self._deadline.hasten()

    def new_id(self, nsp: str) -> str:
        """The id of a client of this connection."""
        return new_sid()

    def _welcome(self, client: Client) -> Any:
        """The payload of the answer to CONNECT."""
        return {"sid": client.id}

    def _told(self, refused: Refused) -> Any:
        """The payload of a refusal."""
        return refused.payload()

    def _accept(self, client: Client) -> None:
        nsp = client.namespace_name
        self._clients[nsp] = client
        client.buckets = self._left.pop(nsp, None)
        self.server.room_table(nsp, client.handler).add(client)
        self.server.metrics.namespace_connected(client.handler.label)
        self.push(self.server.encode_packet(packets.CONNECT, nsp, self._welcome(client)))
        client.accept()
        if client.handler.has_connected:
            client.mailbox.put(partial(dispatcher.run_connected, client))
        self._deadline.review()

    def disconnect(self, client: Client) -> None:
        """The server ends a client's stay in its namespace."""
        if self._clients.get(client.namespace_name) is client:
            self.push(self.server.encode_packet(packets.DISCONNECT, client.namespace_name))
            self._depart(client, self.server.reason.SERVER_DISCONNECT)

    def disconnect_all(self) -> None:
        """The server ends the whole connection; a stock client does not come back by itself."""
        for client in self.clients:
            self.disconnect(client)
        self.close(self.server.reason.SERVER_DISCONNECT)

    def close(self, reason: str) -> None:
        """Close the session after what is queued for it has been sent; a stock client reconnects."""
        if not self._shut:
            self._shut = True
            self.session.close(reason)

    def session_closed(self, reason: str) -> None:
        self.closed = True
        self.server.gate.close(self.gate_pass)
        self._deadline.cancel()
        for client in self.clients:
            self._depart(client, reason)
        self.server.release_environ(self)

    def _depart(self, client: Client, reason: str) -> None:
        """Out of every broadcast at once; the disconnect handler waits for the events before it."""
        nsp = client.namespace_name
        del self._clients[nsp]
        self._left[nsp] = client.buckets
        if len(self._left) > MAX_REMEMBERED:
            del self._left[next(iter(self._left))]
        self.server.metrics.namespace_disconnected(client.handler.label)
        client.depart()
        rooms = self.server.room_table(nsp, client.handler)
        if client.handler.has_disconnecting:
            rooms.retire(client)
            self.server.spawn(self._take_leave(client, reason, rooms))
        else:
            rooms.remove(client)
            client.mailbox.put(partial(self.server.part, client, reason))

    async def _take_leave(self, client: Client, reason: str, rooms: Rooms) -> None:
        try:
            await dispatcher.run_disconnecting(client, reason)
        finally:
            rooms.release(client)
            client.mailbox.put(partial(self.server.part, client, reason))
