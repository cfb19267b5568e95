"""One Engine.IO session: its packets in, its clients (one for each namespace it joined), its packets out.

A packet that breaks the protocol closes the session, as Node closes it. Rules of the state, beyond `packets`:
1. A namespace is CONNECTed once. A second CONNECT while connected or connecting closes.
2. Any other packet for a namespace that was never joined closes; for one that was left it is ignored, because it may
   have been under way when the server ended it (Node closes there too).
3. Handlers of one client run one at a time, in the order of its packets. Acks are not queued: a handler may wait for
   one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from rtserver.errors import Refused
from rtserver.protocol import packets
from rtserver.sio import dispatch
from rtserver.sio.client import Client
from rtserver.sio.handshake import Handshake
from rtserver.sio.ids import new_sid

if TYPE_CHECKING:
    from rtserver.sio.server import Server

log = structlog.get_logger("rtserver.sio")

MAX_PENDING_EVENTS = 1000
Job = Callable[[], Awaitable[None]]


class Mailbox:
    """The jobs of one client, run one after the other by a task that lives while there are any."""

    __slots__ = ("_jobs", "_running", "_server")

    def __init__(self, server: Server) -> None:
        self._server = server
        self._jobs: deque[Job] = deque()
        self._running = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        self._jobs.append(job)
        if not self._running:
            self._running = True
            self._server.spawn(self._run())

    async def _run(self) -> None:
        try:
            while self._jobs:
                await self._jobs.popleft()()
        finally:
            self._running = False


class Connection:
    __slots__ = ("_assembler", "_clients", "_connecting", "_left", "_mailboxes", "closed", "handshake", "id", "server")

    def __init__(self, server: Server, id: str, handshake: Handshake) -> None:
        self.server = server
        self.id = id
        self.handshake = handshake
        self.closed = False
        self._clients: dict[str, Client] = {}
        self._mailboxes: dict[str, Mailbox] = {}
        self._connecting: set[str] = set()
        self._left: set[str] = set()
        self._assembler: packets.Assembler | None = None

    @property
    def clients(self) -> list[Client]:
        return list(self._clients.values())

    @property
    def transport(self) -> str:
        return self.server.transport_of(self.id)

    def push(self, encoded: packets.Encoded, volatile: bool = False) -> None:
        self.server.engine.push(self.id, encoded, volatile)

    # Packets in.

    def receive(self, message: str | bytes) -> None:
        """Take one Engine.IO message; a broken rule closes the session."""
        if self.closed:
            return
        try:
            packet = self._assemble(message)
            if packet is not None:
                self._route(packet)
        except packets.PacketError as error:
            self._reject(str(error))

    def _assemble(self, message: str | bytes) -> packets.Packet | None:
        if isinstance(message, str):
            if self._assembler is not None:
                raise packets.PacketError("text among attachments")
            packet = packets.decode(message, self.server.max_attachments)
            if packet.attachments:
                self._assembler = packets.Assembler(packet)
                return None
            return packet
        if self._assembler is None:
            raise packets.PacketError("attachment without packet")
        whole = self._assembler.add(bytes(message))
        if whole is not None:
            self._assembler = None
        return whole

    def _route(self, packet: packets.Packet) -> None:
        nsp = packet.namespace
        if packet.type == packets.CONNECT:
            self._start_connect(nsp, packet.data)
            return
        client = self._clients.get(nsp)
        if client is None:
            if nsp not in self._left:
                raise packets.PacketError("packet for a namespace that is not joined")
        elif packet.type == packets.EVENT:
            self._queue_event(client, packet)
        elif packet.type == packets.ACK:
            if packet.id is None:
                raise packets.PacketError("ack without id")
            client.ack_received(packet.id, packet.data)
        elif packet.type == packets.DISCONNECT:
            self._depart(client, self.server.reason.CLIENT_DISCONNECT)
        else:
            raise packets.PacketError("packet of a type that only servers send")

    def _queue_event(self, client: Client, packet: packets.Packet) -> None:
        mailbox = self._mailboxes[client.namespace_name]
        if len(mailbox) >= MAX_PENDING_EVENTS:
            raise packets.PacketError("too many events waiting to be handled")
        job = partial(dispatch.run_event, client, packet.data, packet.id)
        if self.server.concurrent_handlers:
            self.server.spawn(job())
        else:
            mailbox.put(job)

    def _reject(self, reason: str) -> None:
        log.info("packet_rejected", reason=reason, session=self.id, address=self.handshake.address)
        self.server.metrics.rejected("packet")
        self.server.engine.close(self.id, self.server.reason.TRANSPORT_ERROR)

    # Namespaces: joining and leaving.

    def _start_connect(self, nsp: str, auth: dict[str, Any] | None) -> None:
        if nsp in self._clients or nsp in self._connecting:
            raise packets.PacketError("second CONNECT")
        self._connecting.add(nsp)
        self.server.spawn(self._connect(nsp, self.handshake.with_auth(auth)))

    async def _connect(self, nsp: str, handshake: Handshake) -> None:
        client: Client | None = None
        try:
            client = await self._admit(nsp, handshake)
            refused = await dispatch.run_connect(client)
        except Refused as error:
            refused = error
        finally:
            self._connecting.discard(nsp)
        if refused is not None or client is None:
            self._refuse(nsp, client, refused or Refused())
        elif self.closed:
            # It was accepted, but left meanwhile: give the handler the chance to undo.
            await self._forget(client, self.server.reason.TRANSPORT_CLOSE)
        else:
            self._accept(client)

    async def _admit(self, nsp: str, handshake: Handshake) -> Client:
        """Find the handler and check the identity; raises `Refused`."""
        handler = self.server.handler_for(nsp)
        identity = await self.server.identify(handler, handshake)
        client = Client(new_sid(), self, nsp, handler, identity, handshake)
        if identity is not None:
            client.rooms.add(identity.room)
        self.server.register(client)
        return client

    def _refuse(self, nsp: str, client: Client | None, refused: Refused) -> None:
        log.info("connect_refused", namespace=nsp[:100], code=refused.code, address=self.handshake.address)
        self.server.metrics.refused(refused.code)
        if client is not None:
            client.depart()
            self.server.forget(client)
        self.push(packets.encode(packets.CONNECT_ERROR, nsp, refused.payload()))

    def _accept(self, client: Client) -> None:
        nsp = client.namespace_name
        self._clients[nsp] = client
        self._left.discard(nsp)
        self._mailboxes[nsp] = Mailbox(self.server)
        self.server.room_table(nsp).add(client)
        self.server.metrics.namespace_connected(nsp)
        self.push(packets.encode(packets.CONNECT, nsp, {"sid": client.id}))
        client.accept()
        self._mailboxes[nsp].put(partial(dispatch.run_connected, client))

    def disconnect(self, client: Client) -> None:
        """The server ends a client's stay in its namespace."""
        if self._clients.get(client.namespace_name) is client:
            self.push(packets.encode(packets.DISCONNECT, client.namespace_name))
            self._depart(client, self.server.reason.SERVER_DISCONNECT)

    async def disconnect_all(self) -> None:
        """The server ends the whole connection."""
        for client in self.clients:
            self.disconnect(client)
        self.server.engine.close(self.id, self.server.reason.SERVER_DISCONNECT)

    def session_closed(self, reason: str) -> None:
        self.closed = True
        self._assembler = None
        for client in self.clients:
            self._depart(client, reason)

    def _depart(self, client: Client, reason: str) -> None:
        """Out of every broadcast at once; the disconnect handler waits for the events before it."""
        nsp = client.namespace_name
        del self._clients[nsp]
        self._left.add(nsp)
        self.server.room_table(nsp).remove(client)
        self.server.metrics.namespace_disconnected(nsp)
        client.depart()
        self._mailboxes.pop(nsp).put(partial(self._forget, client, reason))

    async def _forget(self, client: Client, reason: str) -> None:
        await dispatch.run_disconnect(client, reason)
        client.depart()
        self.server.forget(client)
