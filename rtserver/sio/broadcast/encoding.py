"""Encoding of Socket.IO packets for the engine, with the text parser or the msgpack parser."""

from __future__ import annotations

from typing import Any, Protocol

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.protocol import msgpack_packets, packets

MESSAGE = b"4"
"""The type byte of an Engine.IO message packet."""


class Encode(Protocol):
    """Encodes one packet for any number of sessions; raises `TypeError` for data that cannot be encoded."""

    def __call__(self, type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage: ...


def encode_packet(type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage:
    """Encode with the default parser: text, and one binary message for each attachment."""
    if type == packets.EVENT and id is None and (plain := packets.encode_event(namespace, data)) is not None:
        return PreparedMessage(MESSAGE + plain)
    text, *attachments = packets.encode(type, namespace, data, id)
    return PreparedMessage(MESSAGE + text, *attachments)


def encode_packet_msgpack(type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage:
    """Encode with `socket.io-msgpack-parser`: one binary message."""
    return PreparedMessage.binary(msgpack_packets.encode(type, namespace, data, id))
