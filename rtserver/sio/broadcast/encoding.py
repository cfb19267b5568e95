"""Socket.IO packets on their way to the engine, in the form of the server's parser."""

from __future__ import annotations

from typing import Any, Protocol

from rtserver.engine.session.prepared_message import PreparedMessage
from rtserver.protocol import msgpack_packets, packets

MESSAGE = b"4"


class Encode(Protocol):
    """Encodes one packet for any number of sessions; raises `TypeError` for what cannot be sent."""

    def __call__(self, type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage: ...


def encode_packet(type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage:
    if type == packets.EVENT and id is None and (plain := packets.encode_event(namespace, data)) is not None:
        return PreparedMessage(MESSAGE + plain)
    text, *attachments = packets.encode(type, namespace, data, id)
    return PreparedMessage(MESSAGE + text, *attachments)


def encode_packet_msgpack(type: int, namespace: str, data: Any = None, id: int | None = None) -> PreparedMessage:
    return PreparedMessage.binary(msgpack_packets.encode(type, namespace, data, id))
