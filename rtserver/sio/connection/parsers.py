"""Parsers: the default text parser and `socket.io-msgpack-parser`, each with its connection and client class.

All clients of a server use the same parser. With msgpack, each packet is one binary message.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtserver.protocol import msgpack_packets, packets
from rtserver.sio.broadcast.encoding import Encode, encode_packet, encode_packet_msgpack
from rtserver.sio.client.client import Client
from rtserver.sio.connection.connection import Connection


class MsgpackConnection(Connection):
    __slots__ = ()

    def receive(self, message: str | bytes) -> None:
        if self.closed or self._closing:
            return
        try:
            if isinstance(message, str):
                raise packets.PacketError("text where packets are binary")
            head = msgpack_packets.head(message)
            if self.wants(head.type, head.namespace):
                data = msgpack_packets.payload(head, self.server.limits.max_depth)
                self._route(packets.Packet(head.type, head.namespace, data, head.id), len(message))
        except packets.PacketError as error:
            self.reject(str(error))


class MsgpackClient(Client):
    __slots__ = ()

    def send_ack(self, id: int, values: list[Any]) -> None:
        self.answer(self.connection.server.encode_packet(packets.ACK, self.namespace_name, values, id))


@dataclass(frozen=True, slots=True)
class Parser:
    """A parser: how packets are encoded, and the classes that decode them and send acks."""

    encode_packet: Encode
    connection_class: type[Connection]
    client_class: type[Client]


_PARSERS = {
    "default": Parser(encode_packet, Connection, Client),
    "msgpack": Parser(encode_packet_msgpack, MsgpackConnection, MsgpackClient),
}


def parser_of(serializer: str) -> Parser:
    """The parser by python-socketio's name for it; raises `ValueError` for an unknown name."""
    parser = _PARSERS.get(serializer)
    if parser is None:
        raise ValueError(f'the serializer is "default" or "msgpack", not {serializer!r}')
    return parser
