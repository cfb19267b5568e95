"""A binary packet whose attachments are still on their way: how many bytes they may be, and how long they may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtserver.protocol import packets
from rtserver.timer_wheel import Timer

if TYPE_CHECKING:
    from rtserver.sio.connection.connection import Connection


class AttachmentTimer(Timer):
    __slots__ = ("_assembler", "_bytes_left", "_connection")

    def __init__(self, connection: Connection, packet: packets.Packet) -> None:
        super().__init__()
        bounds = connection.server.bounds
        self._assembler = packets.Assembler(packet)
        self._bytes_left = bounds.max_attachment_bytes
        self._connection = connection
        connection.server.engine.wheel.start(self, bounds.attachment_timeout)

    def add(self, attachment: bytes) -> packets.Packet | None:
        """The whole packet once its last attachment is here, else None. Raises `PacketError`."""
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
