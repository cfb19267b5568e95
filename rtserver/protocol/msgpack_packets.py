"""Socket.IO packets in the encoding of `socket.io-msgpack-parser`: each is one binary message, without attachments.

    {type, nsp, data, id?}      `data` is missing in a packet without payload

The rules of `rtserver.protocol.packets` apply here too; a violation is a `PacketError`. Node's parser looks at less: an
event whose array begins with something else than a name reaches no listener, so it is an event without payload here.
Numbers of a packet may be written as floats, as some encoders have no others. Values are restricted to what
JSON can carry, plus bytes, in both directions: a handler or a client cannot tell which parser the other side uses.
The payload stays undecoded until it is known that somebody wants it.
Source: https://github.com/socketio/socket.io-msgpack-parser
"""

from __future__ import annotations

from typing import Any, NamedTuple

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
_NIL = msgspec.Raw(b"\xc0")


def encode(type: int, namespace: str, data: Any = None, id: int | None = None) -> bytes:
    """Encode one packet; raises `TypeError` for a value that cannot be sent."""
    packet: dict[str, Any] = {"type": type, "nsp": namespace}
    if data is not None:
        packet["data"] = _sendable(data)
    if id is not None:
        packet["id"] = id
    return msgpack.dumps(packet)


class Head(NamedTuple):
    """A packet whose payload is not decoded yet."""

    type: int
    namespace: str
    id: int | None
    payload: bytes


class _Fields(msgspec.Struct):
    type: int
    nsp: str
    data: msgspec.Raw = _NIL
    id: int | None = None


class _LooseFields(msgspec.Struct):
    """Fields whose numbers may be written as floats, or be undefined."""

    type: msgspec.Raw
    nsp: str
    data: msgspec.Raw = _NIL
    id: msgspec.Raw = _NIL


_decode = msgspec.msgpack.Decoder(_Fields).decode
_decode_loose = msgspec.msgpack.Decoder(_LooseFields).decode
_MAX_NUMBER = 9
"""Bytes of a number."""


def head(message: bytes) -> Head:
    """Decode all of a packet but its payload; raises `PacketError`."""
    kind, namespace, id, data = _fields(message)
    if not CONNECT <= kind <= CONNECT_ERROR:
        raise PacketError("unknown packet type")
    if kind == CONNECT and len(message) > MAX_CONNECT_LENGTH:
        raise PacketError("CONNECT too long")
    if id is not None and abs(id) >= 10**MAX_ID_DIGITS:
        raise PacketError("invalid ack id")
    return Head(kind, _namespace(namespace), id, bytes(data))


def _fields(message: bytes) -> tuple[int, str, int | None, msgspec.Raw]:
    try:
        usual = _decode(message)
        return usual.type, usual.nsp, usual.id, usual.data
    except msgspec.ValidationError:
        pass
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise PacketError(f"invalid MessagePack: {error}") from None
    try:
        fields = _decode_loose(message)
        kind, id = _number(fields.type), _number(fields.id)
    except (msgspec.MsgspecError, ValueError, RecursionError, OverflowError) as error:
        raise PacketError(f"invalid MessagePack: {error}") from None
    return -1 if kind is None else kind, fields.nsp, id, fields.data


def payload(head: Head, max_depth: int = json.MAX_DEPTH) -> Any:
    """Decode the payload of a packet; raises `PacketError`."""
    try:
        data = msgpack.loads(head.payload, max_depth)
    except msgpack.MsgpackError as error:
        raise PacketError(f"invalid MessagePack: {error}") from None
    if head.type == EVENT and type(data) is list and not (data and type(data[0]) in (str, int, float)):
        return None
    if head.type not in (CONNECT, DISCONNECT) or data is not None:
        check(head.type, data)
    return data


def decode(message: bytes, max_depth: int = json.MAX_DEPTH) -> Packet:
    """Decode one packet with its payload; raises `PacketError`."""
    first = head(message)
    return Packet(first.type, first.namespace, payload(first, max_depth), first.id)


def _namespace(name: str) -> str:
    if name[:1] != "/" or "," in name:
        raise PacketError("invalid namespace")
    if len(name) > MAX_NAMESPACE_LENGTH:
        raise PacketError("namespace too long")
    return name


def _number(field: msgspec.Raw) -> int | None:
    """A whole number, also one that is written as a float; None for nil and undefined. Raises `ValueError`."""
    value = msgpack.loads(bytes(field)) if len(memoryview(field)) <= _MAX_NUMBER else field
    if value is None or type(value) is int:
        return value
    if type(value) is float and value.is_integer():
        return int(value)
    raise ValueError("not a whole number")


def _sendable(value: Any) -> Any:
    """Convert as JSON would, except for bytes."""
    try:
        return json.finite(msgspec.to_builtins(value, builtin_types=_BYTES, str_keys=True))
    except (ValueError, RecursionError) as error:
        raise TypeError(f"cannot be sent: {error}") from None
