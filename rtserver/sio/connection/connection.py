"""Connection: the packets of one Engine.IO session, routed to its clients (one for each namespace that it joined).

A packet that breaks the protocol closes the session, as in Node. Rules beyond `packets` and `joined_namespaces`:
1. A packet for a namespace that was never joined closes the session. For a namespace that was left it is ignored, as
   it may have been under way when the server disconnected the client. (Node closes the session here too.) Either is
   decided before the payload is parsed: nobody makes the server parse what nobody wants.
2. The handlers of one client run one at a time, in the order of its packets. Acks and the end of the client are not
   queued, so that a handler may wait for them.
3. Once the session is closing, packets are ignored. So are an event without payload and an ack without id or with an
   unknown one.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from rtserver.engine.session.interfaces import Reason
from rtserver.protocol import packets
from rtserver.sio.connection.attachments import AttachmentTimer
from rtserver.sio.connection.joined_namespaces import JoinedNamespaces
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.event_queue import Backlog

if TYPE_CHECKING:
    from rtserver.engine.session.session import Session
    from rtserver.sio.client.client import Client
    from rtserver.sio.client.handshake import Handshake
    from rtserver.sio.connection.interfaces import ConnectionServer
    from rtserver.sio.limits.connection_limits import ConnectionSlot

log = structlog.get_logger("rtserver.sio")


class Connection(JoinedNamespaces):
    """The packets of one session. `engine_session` is the Engine.IO session below.

    Joining and leaving namespaces is inherited rather than composed: a separate object for it would cost memory for
    every connection.
    """

    __slots__ = ("_assembler", "_size", "backlog")

    def __init__(
        self, server: ConnectionServer, engine_session: Session, handshake: Handshake, slot: ConnectionSlot
    ) -> None:
        super().__init__(server, engine_session, handshake, slot)
        self.backlog = Backlog(engine_session, server)
        self._assembler: AttachmentTimer | None = None
        self._size = 0

    def receive(self, message: str | bytes) -> None:
        """Handle one Engine.IO message; a protocol error closes the session."""
        if self.closed or self._closing:
            return
        try:
            if self._assembler is None and message[:1] == "2":
                self._event(*packets.decode_event(message, self._clients, self.server.limits.max_depth), len(message))  # type: ignore[arg-type]  # it is text
            else:
                self._receive(message)
        except packets.PacketError as error:
            self._violated(error)

    def _violated(self, error: packets.PacketError) -> None:
        if isinstance(error, packets.EmptyEvent):
            return
        if not isinstance(error, packets.NotJoined) or error.namespace not in self._left:
            self.reject(str(error))

    def _receive(self, message: str | bytes) -> None:
        packet = self._assemble(message)
        if packet is not None:
            size, self._size = self._size, 0
            self._route(packet, size)

    def _assemble(self, message: str | bytes) -> packets.Packet | None:
        self._size += len(message)
        if isinstance(message, str):
            if self._assembler is not None:
                raise packets.PacketError("text among attachments")
            limits = self.server.limits
            head = packets.head(message, limits.max_attachments)
            wanted = self.wants(head.type, head.namespace)
            data = packets.payload(message, head, limits.max_depth) if wanted else None
            packet = packets.Packet(head.type, head.namespace, data, head.id, head.attachments)
            if packet.attachments:
                # Those of a packet that nobody wants follow it all the same.
                self._assembler = AttachmentTimer(self, packet)
                return None
            return packet
        if self._assembler is None:
            raise packets.PacketError("attachment without packet")
        whole = self._assembler.add(message)
        if whole is not None:
            self._assembler = None
        return whole

    def wants(self, type: int, nsp: str) -> bool:
        """Whether somebody wants a packet of this type; raises `NotJoined` for a namespace that was never joined."""
        if type == packets.CONNECT or nsp in self._clients:
            return True
        if nsp not in self._left:
            raise packets.NotJoined(nsp)
        return False

    def _route(self, packet: packets.Packet, size: int) -> None:
        """Pass on a packet; it may have waited for attachments, and its client may have left."""
        nsp = packet.namespace
        client = self._clients.get(nsp)
        if packet.type == packets.CONNECT:
            self._start_connect(nsp, self.handshake.with_auth(packet.data))
        elif client is None:
            return
        elif packet.type == packets.EVENT and packet.data:
            self._event(client, packet.data, packet.id, size)
        elif packet.type == packets.ACK:
            if packet.id is not None:
                client.ack_received(packet.id, packet.data or [])
        elif packet.type == packets.DISCONNECT:
            self._remove_client(client, self.server.reason.CLIENT_DISCONNECT)

    def _event(self, client: Client, args: list[Any], id: int | None, size: int) -> None:
        if self.server.concurrent_handlers:
            self._handle_concurrently(client, args, id, size)
        elif client.event_queue.idle:
            # The idle case of `EventQueue.put`, repeated here: `put` would need a job object for every event.
            queue = client.event_queue
            queue.idle = False
            pending = dispatcher.handle_event(client, args, id)
            if pending is None and queue.jobs is None:
                queue.idle = True
            else:
                queue.resume(pending)
        else:
            self.backlog.add(size)
            client.event_queue.put(partial(self._handle_queued, client, args, id, size))

    def _handle_queued(self, client: Client, args: list[Any], id: int | None, size: int) -> Awaitable[None] | None:
        self.backlog.remove(size)
        return None if client.expelled else dispatcher.handle_event(client, args, id)

    def _handle_concurrently(self, client: Client, args: list[Any], id: int | None, size: int) -> None:
        """Run handlers concurrently (`async_handlers`). No event waits then, so the running ones count as backlog."""
        pending = dispatcher.handle_event(client, args, id)
        if pending is not None:
            self.backlog.add(size)
            self.server.spawn(self._finish_concurrent(pending, size))

    async def _finish_concurrent(self, pending: Awaitable[None], size: int) -> None:
        try:
            await pending
        finally:
            self.backlog.remove(size)

    @property
    def busy(self) -> bool:
        """Whether closing now would lose something: an event, an ack, a CONNECT, an upgrade or a POST."""
        session = self.engine_session
        under_way = self.backlog.events or self._connecting or session.upgrade or session.post
        return bool(under_way) or not all(client.event_queue.idle for client in self._clients.values())

    def reject(self, reason: str) -> None:
        """Close the session because of a protocol error."""
        log.info(
            "packet_rejected", reason=reason, session=self.engine_session.public_id, address=self.handshake.address
        )
        self.server.metrics.rejected("packet")
        self.close(Reason.PARSE_ERROR)

    def session_closed(self, reason: str) -> None:
        if self._assembler is not None:
            self._assembler.stop()
            self._assembler = None
        super().session_closed(reason)
