"""One Engine.IO session: its packets in, its clients (one for each namespace it joined), its packets out.

A packet that breaks the protocol closes the session, as Node closes it. Rules beyond `packets` and `membership`:
1. A packet for a namespace that was never joined closes; for one that was left it is ignored, because it may have been
   under way when the server ended it (Node closes there too).
2. Handlers of one client run one at a time, in the order of its packets. Acks are not queued: a handler may wait for
   one.
3. After a closing was asked for, nothing more is taken.
"""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from rtserver.engine.session.interfaces import Reason
from rtserver.engine.session.session import Session
from rtserver.protocol import packets
from rtserver.sio.client.client import Client
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.connection.attachments import AttachmentTimer
from rtserver.sio.connection.joined_namespaces import JoinedNamespaces
from rtserver.sio.dispatch import dispatcher
from rtserver.sio.dispatch.event_queue import Backlog
from rtserver.sio.limits.connection_limits import ConnectionSlot

if TYPE_CHECKING:
    from rtserver.sio.server import Server

log = structlog.get_logger("rtserver.sio")


class Connection(JoinedNamespaces):
    __slots__ = ("_assembler", "_size", "backlog")

    def __init__(self, server: Server, session: Session, handshake: Handshake, gate_pass: ConnectionSlot) -> None:
        super().__init__(server, session, handshake, gate_pass)
        self.backlog = Backlog(session, server)
        self._assembler: AttachmentTimer | None = None
        self._size = 0

    def receive(self, message: str | bytes) -> None:
        """Take one Engine.IO message; a broken rule closes the session."""
        if self.closed or self._shut:
            return
        try:
            if self._assembler is None and message[:1] == "2":
                self._event(*packets.decode_event(message, self.server.bounds.max_depth), len(message))  # type: ignore[arg-type]  # it is text
            else:
                self._receive(message)
        except packets.PacketError as error:
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
            bounds = self.server.bounds
            packet = packets.decode(message, bounds.max_attachments, bounds.max_depth)
            if packet.attachments:
                # Nobody gets to leave attachments here before a namespace has let them in.
                self._check_joined(packet.namespace)
                self._assembler = AttachmentTimer(self, packet)
                return None
            return packet
        if self._assembler is None:
            raise packets.PacketError("attachment without packet")
        whole = self._assembler.add(message)
        if whole is not None:
            self._assembler = None
        return whole

    def _route(self, packet: packets.Packet, size: int) -> None:
        nsp = packet.namespace
        if packet.type == packets.CONNECT:
            self._start_connect(nsp, self.handshake.with_auth(packet.data))
            return
        if packet.type == packets.EVENT:
            self._event(nsp, packet.data, packet.id, size)
            return
        client = self._clients.get(nsp)
        if client is None:
            self._check_joined(nsp)
        elif packet.type == packets.ACK:
            if packet.id is None:
                raise packets.PacketError("ack without id")
            client.ack_received(packet.id, packet.data)
        else:
            self._depart(client, self.server.reason.CLIENT_DISCONNECT)

    def _check_joined(self, nsp: str) -> None:
        if nsp not in self._clients and nsp not in self._left:
            raise packets.PacketError("packet for a namespace that is not joined")

    def _event(self, nsp: str, args: list[Any], id: int | None, size: int) -> None:
        client = self._clients.get(nsp)
        if client is None:
            self._check_joined(nsp)
        elif self.server.concurrent_handlers:
            self._handle_beside(client, args, id, size)
        elif client.mailbox.idle:
            client.mailbox.idle = False
            pending = dispatcher.begin(client, args, id)
            if pending is None and client.mailbox.empty:
                client.mailbox.idle = True
            else:
                client.mailbox.go_on(pending)
        else:
            self.backlog.add(size)
            client.mailbox.put(partial(self._handle, client, args, id, size))

    def _handle(self, client: Client, args: list[Any], id: int | None, size: int) -> Awaitable[None] | None:
        self.backlog.done(size)
        return dispatcher.begin(client, args, id)

    def _handle_beside(self, client: Client, args: list[Any], id: int | None, size: int) -> None:
        """All at once: here what runs must count, as nothing waits."""
        pending = dispatcher.begin(client, args, id)
        if pending is not None:
            self.backlog.add(size)
            self.server.spawn(self._count_out(pending, size))

    async def _count_out(self, pending: Awaitable[None], size: int) -> None:
        try:
            await pending
        finally:
            self.backlog.done(size)

    @property
    def busy(self) -> bool:
        """Whether something is under way that would be lost by closing now."""
        session = self.session
        waits = self.backlog.events or self._connecting or session.upgrade or session.post
        return bool(waits) or not all(client.mailbox.idle for client in self._clients.values())

    def reject(self, reason: str) -> None:
        """The peer broke a rule."""
        log.info("packet_rejected", reason=reason, session=self.id, address=self.handshake.address)
        self.server.metrics.rejected("packet")
        self.close(Reason.PARSE_ERROR)

    def session_closed(self, reason: str) -> None:
        if self._assembler is not None:
            self._assembler.stop()
            self._assembler = None
        super().session_closed(reason)
