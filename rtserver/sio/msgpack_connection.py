"""Connections and clients of a server whose parser is `socket.io-msgpack-parser`: each packet is one binary message."""

from __future__ import annotations

from typing import Any

from rtserver.protocol import msgpack_packets, packets
from rtserver.sio.client import Client
from rtserver.sio.connection import Connection


class MsgpackConnection(Connection):
    __slots__ = ()

    def receive(self, message: str | bytes) -> None:
        if self.closed or self._shut:
            return
        try:
            if isinstance(message, str):
                raise packets.PacketError("text where packets are binary")
            self._route(msgpack_packets.decode(message, self.server.bounds.max_depth), len(message))
        except packets.PacketError as error:
            self.reject(str(error))


class MsgpackClient(Client):
    __slots__ = ()

    def send_ack(self, id: int, values: list[Any]) -> None:
        self.send(self.server.outgoing(packets.ACK, self.namespace_name, values, id))
