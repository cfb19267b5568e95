"""Socket.IO packets in the encoding of `socket.io-msgpack-parser`: each is one binary message, without attachments.

    {type, nsp, data, id?}      `data` is missing in a packet without payload

The rules of `rtserver.protocol.packets` apply here too; a violation is a `PacketError`. Node's parser looks at less: an
event whose array begins with something else than a name reaches no listener, so it is an event without payload here.
Numbers of a packet may be written as floats, as some encoders have no others. Values are restricted to what
JSON can carry, plus bytes, in both directions: a handler or a client cannot tell which parser the other side uses.
Source: https://github.com/socketio/socket.io-msgpack-parser
"""

from __future__ import annotations

from typing import Any

import msgspec

from rtserver.protocol import json, msgpack
from rtserver.protocol.packets import (
    CONNECT,
    CONNECT_ERROR,
    DISCONNECT,
    EVENT,
    MAX_CONNECT_LENGTH,
    MAX_ID_DIGITS,
    MAX_NAMESPACE_LENGTH,
    Packet,
    PacketError,
    check,
)

_BYTES = (bytes, bytearray, memoryview)


def encode(type: int, namespace: str, data: Any = None, id: int | None = None) -> bytes:
    """Encode one packet; raises `TypeError` for a value that cannot be sent."""
    packet: dict[str, Any] = {"type": type, "nsp": namespace}
    if data is not None:
        packet["data"] = _sendable(data)
    if id is not None:
        packet["id"] = id
    return msgpack.dumps(packet)


def decode(message: bytes, max_depth: int = json.MAX_DEPTH) -> Packet:
    """Decode one packet; raises `PacketError`."""
    try:
        # The map of the packet itself is not counted, so that both parsers allow the same depth.
        fields = msgpack.loads(message, max_depth + 1)
    except msgpack.MsgpackError as error:
        raise PacketError(f"invalid MessagePack: {error}") from None
    if type(fields) is not dict:
        raise PacketError("not a packet")
    kind, data = _whole(fields.get("type")), fields.get("data")
    if kind is None or not CONNECT <= kind <= CONNECT_ERROR:
        raise PacketError("unknown packet type")
    if kind == CONNECT and len(message) > MAX_CONNECT_LENGTH:
        raise PacketError("CONNECT too long")
    if kind == EVENT and type(data) is list and not (data and type(data[0]) in (str, int, float)):
        data = None
    elif kind not in (CONNECT, DISCONNECT) or data is not None:
        check(kind, data)
    return Packet(kind, _namespace(fields.get("nsp")), data, _ack_id(fields.get("id")))


def _namespace(name: Any) -> str:
    if type(name) is not str or name[:1] != "/" or "," in name:
        raise PacketError("invalid namespace")
    if len(name) > MAX_NAMESPACE_LENGTH:
        raise PacketError("namespace too long")
    return name


def _ack_id(given: Any) -> int | None:
    if given is None:
        return None
    id = _whole(given)
    if id is None or abs(id) >= 10**MAX_ID_DIGITS:
        raise PacketError("invalid ack id")
    return id


def _whole(number: Any) -> int | None:
    """The number as an integer; None if it is none."""
    if type(number) is float and number.is_integer():
        return int(number)
    return number if type(number) is int else None


def _sendable(value: Any) -> Any:
    """Convert as JSON would, except for bytes."""
    try:
        return json.finite(msgspec.to_builtins(value, builtin_types=_BYTES, str_keys=True))
    except (ValueError, RecursionError) as error:
        raise TypeError(f"cannot be sent: {error}") from None
