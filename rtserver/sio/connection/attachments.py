"""Binary attachments: collects those of one packet, within a limit of bytes and of time.

An object exists only while a binary packet is incomplete. It is its own timer on the engine's wheel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtserver.protocol import packets
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.sio.connection.interfaces import RejectingConnection


class AttachmentTimer(Timer):
    """A binary packet whose attachments have not all arrived."""

    __slots__ = ("_assembler", "_bytes_left", "_connection")

    def __init__(self, connection: RejectingConnection, packet: packets.Packet) -> None:
        super().__init__()
        limits = connection.server.limits
        self._assembler = packets.Assembler(packet, limits.max_attachments, limits.max_attachment_bytes)
        self._bytes_left = limits.max_attachment_bytes
        self._connection = connection
        connection.server.engine.wheel.start(self, limits.attachment_timeout)

    def add(self, attachment: bytes) -> packets.Packet | None:
        """Add an attachment. Returns the packet with the last one, else None. Raises `PacketError`."""
        self._bytes_left -= len(attachment)
        if self._bytes_left < 0:
            raise packets.PacketError("attachments too large")
        whole = self._assembler.add(attachment)
        if whole is not None:
            self.stop()
        return whole

    def stop(self) -> None:
        self._connection.server.engine.wheel.stop(self)

    def fire(self) -> None:
        self._connection.reject("attachments too late")
