"""Socket.IO packets (protocol revision 5): text and attachments to values and back.

Source of every rule: https://socket.io/docs/v4/socket-io-protocol/ and the behaviour of `socket.io-parser` 4.2.

    <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]

Rules enforced here; a violation is a `PacketError` and closes the connection:
1. CONNECT carries an object or nothing; DISCONNECT carries nothing; EVENT an array that begins with a name or a
   number; ACK an array.
2. A peer cannot send an event with a name of the lifecycle (`RESERVED_EVENTS`).
3. A binary packet announces 1 to `max_attachments` attachments; each is referenced exactly once, by a placeholder.
4. An ack id has at most 15 digits, so that it stays an exact integer in JavaScript.
5. A CONNECT has at most `MAX_CONNECT_LENGTH` characters, as its payload is kept as long as the connection.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rtserver.protocol import json

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
MAX_ID_DIGITS = 15
MAX_NAMESPACE_LENGTH = 256
MAX_CONNECT_LENGTH = 65_536

Encoded = tuple[bytes, ...]
"""One packet as Engine.IO messages: its text in UTF-8, followed by its attachments."""


class PacketError(ValueError):
    """The peer violated the protocol; the connection is closed with "parse error", as in Node."""


@dataclass(slots=True)
class Packet:
    """`data` is the event's array `[name, *args]`, the ack's array of values, or the CONNECT object."""

    type: int
    namespace: str = "/"
    data: Any = None
    id: int | None = None
    attachments: int = 0


def encode(type: int, namespace: str, data: Any = None, id: int | None = None) -> Encoded:
    """Encode one packet; EVENT and ACK become their binary forms if `data` contains bytes. Raises `TypeError`."""
    head = str(type)
    attachments: list[bytes] = []
    body = b"" if data is None else json.dumps_plain(data)
    if body is None:
        if type in (EVENT, ACK) and has_binary(data):
            data = _extract_binary(data, attachments)
            head = f"{type + 3}{len(attachments)}-"
        body = json.dumps(data)
    if namespace != "/":
        head = f"{head}{namespace},"
    if id is not None:
        head = f"{head}{id}"
    return (head.encode() + body, *attachments)


def encode_event(namespace: str, args: list[Any]) -> bytes | None:
    """Encode an EVENT without ack; None if it contains anything but plain JSON, and needs `encode`."""
    body = json.dumps_plain(args)
    if body is None:
        return None
    return b"2" + body if namespace == "/" else b"2%b,%b" % (namespace.encode(), body)


def encode_ack(namespace: str, values: list[Any], id: int) -> bytes | None:
    """Encode an ACK; None if it contains anything but plain JSON, and needs `encode`."""
    body = json.dumps_plain(values)
    if body is None:
        return None
    return b"3%d%b" % (id, body) if namespace == "/" else b"3%b,%d%b" % (namespace.encode(), id, body)


def decode(text: str, max_attachments: int = 10, max_depth: int = json.MAX_DEPTH) -> Packet:
    """Decode the text of one packet; of a binary one the attachments are still missing (see `Assembler`).

    Raises `PacketError`.
    """
    if not text or not "0" <= text[0] <= "6":
        raise PacketError("unknown packet type")
    kind = ord(text[0]) - 48
    if kind == CONNECT and len(text) > MAX_CONNECT_LENGTH:
        raise PacketError("CONNECT too long")
    at = 1
    count = 0
    if kind >= BINARY_EVENT:
        count, at = _attachment_count(text, max_attachments)
    namespace, at = _namespace(text, at)
    id, at = _ack_id(text, at)
    data = _payload(kind, text[at:], max_depth)
    if kind >= BINARY_EVENT:
        kind -= 3
    return Packet(kind, namespace, data, id, count)


def decode_event(text: str, max_depth: int = json.MAX_DEPTH) -> tuple[str, list[Any], int | None]:
    """Decode an EVENT without attachments, as most packets are, to its namespace, array and ack id.

    Raises `PacketError`.
    """
    namespace, at = ("/", 1) if text[1:2] != "/" else _namespace(text, 1)
    id, at = (None, at) if text[at : at + 1] == "[" else _ack_id(text, at)
    try:
        data = json.loads_mended(text[at:], max_depth)
    except json.JsonError as error:
        raise PacketError(f"invalid JSON: {error}") from None
    if type(data) is not list or not data or not _is_event_name(data[0]):
        raise PacketError("invalid payload")
    return namespace, data, id


def _attachment_count(text: str, limit: int) -> tuple[int, int]:
    end = text.find("-", 1, 12)
    digits = text[1:end]
    if end < 0 or not (digits.isascii() and digits.isdigit()):
        raise PacketError("illegal attachments")
    count = int(digits)
    if not 0 < count <= limit:
        raise PacketError("illegal number of attachments")
    return count, end + 1


def _namespace(text: str, at: int) -> tuple[str, int]:
    if text[at : at + 1] != "/":
        return "/", at
    end = text.find(",", at)
    if end < 0:
        end = len(text)
    if end - at > MAX_NAMESPACE_LENGTH:
        raise PacketError("namespace too long")
    return text[at:end], end + 1


def _ack_id(text: str, at: int) -> tuple[int | None, int]:
    end = text.find("[", at, at + MAX_ID_DIGITS + 1)
    if end == at:
        return None, at
    digits = text[at:end] if end > 0 else ""
    if digits.isdigit() and digits.isascii():
        return int(digits), end
    # No array follows within the allowed length: the id is too long, or there is none.
    if text[at : at + 1].isdigit():
        raise PacketError("illegal ack id")
    return None, at


def _payload(kind: int, text: str, max_depth: int) -> Any:
    if text:
        try:
            data = json.loads_mended(text, max_depth)
        except json.JsonError as error:
            raise PacketError(f"invalid JSON: {error}") from None
    elif kind in (CONNECT, DISCONNECT):
        return None
    else:
        raise PacketError("payload missing")
    check(kind, data)
    return data


def check(kind: int, data: Any) -> None:
    """Check rules 1 and 2 for a packet with `data`; raises `PacketError`."""
    if kind in (EVENT, BINARY_EVENT):
        valid = type(data) is list and bool(data) and _is_event_name(data[0])
    elif kind in (ACK, BINARY_ACK):
        valid = type(data) is list
    else:
        valid = kind == CONNECT and type(data) is dict
    if not valid:
        raise PacketError("invalid payload")


def _is_event_name(name: Any) -> bool:
    return (type(name) is str and name not in RESERVED_EVENTS) or type(name) in (int, float)


class Assembler:
    """Collects the attachments of one binary packet."""

    __slots__ = ("_buffers", "_packet")

    def __init__(self, packet: Packet) -> None:
        self._packet = packet
        self._buffers: list[bytes] = []

    def add(self, attachment: bytes) -> Packet | None:
        """Return the complete packet with its last attachment, else None; raises `PacketError`."""
        self._buffers.append(attachment)
        if len(self._buffers) < self._packet.attachments:
            return None
        unused: list[bytes | None] = list(self._buffers)
        self._packet.data = _insert_binary(self._packet.data, unused)
        if any(buffer is not None for buffer in unused):
            raise PacketError("attachment without placeholder")
        return self._packet


def has_binary(value: Any) -> bool:
    """Whether the value contains bytes at any depth."""
    kind = type(value)
    if kind is str or kind is int:
        return False
    if kind is list or kind is tuple:
        return any(has_binary(item) for item in value)
    if kind is dict:
        return any(has_binary(item) for item in value.values())
    return isinstance(value, bytes | bytearray | memoryview)


def _extract_binary(value: Any, attachments: list[bytes]) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        attachments.append(bytes(value))
        return {"_placeholder": True, "num": len(attachments) - 1}
    if isinstance(value, list | tuple):
        return [_extract_binary(item, attachments) for item in value]
    if isinstance(value, dict):
        return {key: _extract_binary(item, attachments) for key, item in value.items()}
    return value


def _insert_binary(value: Any, buffers: list[bytes | None]) -> Any:
    """Replace placeholders by their attachments, each of which may be used once (rule 3)."""
    if type(value) is list:
        return [_insert_binary(item, buffers) for item in value]
    if type(value) is not dict:
        return value
    if value.get("_placeholder") is not True:
        return {key: _insert_binary(item, buffers) for key, item in value.items()}
    num = value.get("num")
    if type(num) is not int or not 0 <= num < len(buffers):
        raise PacketError("placeholder out of range")
    buffer = buffers[num]
    if buffer is None:
        raise PacketError("placeholder used twice")
    buffers[num] = None
    return buffer
