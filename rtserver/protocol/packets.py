"""Socket.IO packets (protocol revision 5): text and attachments to values and back.

Source of every rule: https://socket.io/docs/v4/socket-io-protocol/ and the behaviour of `socket.io-parser` 4.2.

    <type>[<attachments>-][<namespace>,][<ack id>][<JSON>]

Rules enforced here; a violation is a `PacketError` and closes the connection:
1. CONNECT carries an object or nothing; DISCONNECT carries nothing; EVENT an array that begins with a name or a
   number; ACK an array. EVENT and ACK may also carry nothing: then there is no event, and the ack has no values.
2. A peer cannot send an event with a name of the lifecycle (`RESERVED_EVENTS`).
3. A binary packet announces 1 to `max_attachments` attachments. Each may be referenced by several placeholders or by
   none; but a packet has no more placeholders than it could have attachments, and not more bytes. Otherwise whoever
   sends it on would send each attachment as often as it is referenced.
4. An ack id has at most `MAX_ID_DIGITS` digits. It is exact, where Node rounds one of more than 15 digits.
5. A CONNECT has at most `MAX_CONNECT_LENGTH` characters and `MAX_CONNECT_VALUES` values, as its payload is kept as long
   as the connection.
6. What stands before the payload tells whether somebody wants it. A payload that nobody wants is not parsed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from rtserver.protocol import json

CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)

RESERVED_EVENTS = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)
MAX_ID_DIGITS = 100
MAX_NAMESPACE_LENGTH = 256
MAX_CONNECT_LENGTH = 65_536
MAX_CONNECT_VALUES = 1000

JoinedT = TypeVar("JoinedT")

Encoded = tuple[bytes, ...]
"""One packet as Engine.IO messages: its text in UTF-8, followed by its attachments."""


class PacketError(ValueError):
    """The peer violated the protocol; the connection is closed with "parse error", as in Node."""


class EmptyEvent(PacketError):
    """An EVENT without payload: no event for anyone, and no reason to close the connection."""


class NotJoined(PacketError):
    """The packet is for a `namespace` that is not joined; its payload has not been parsed."""

    def __init__(self, namespace: str) -> None:
        super().__init__("packet for a namespace that is not joined")
        self.namespace = namespace


@dataclass(slots=True)
class Packet:
    """`data` is the event's array `[name, *args]`, the ack's array of values, the CONNECT object, or None."""

    type: int
    namespace: str = "/"
    data: Any = None
    id: int | None = None
    attachments: int = 0


class Head(NamedTuple):
    """A packet whose payload, from `begin` on, is not parsed yet. `type`: the same for a packet with attachments."""

    type: int
    namespace: str
    id: int | None
    attachments: int
    begin: int


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


def head(text: str, max_attachments: int = 10) -> Head:
    """Decode all of a packet's text but its payload; raises `PacketError`."""
    if not text or not "0" <= text[0] <= "6":
        raise PacketError("unknown packet type")
    kind = ord(text[0]) - 48
    if kind == CONNECT and len(text) > MAX_CONNECT_LENGTH:
        raise PacketError("CONNECT too long")
    at = 1
    count = 0
    if kind >= BINARY_EVENT:
        count, at = _attachment_count(text, max_attachments)
        kind -= 3
    namespace, at = _namespace(text, at)
    id, at = _ack_id(text, at)
    return Head(kind, namespace, id, count, at)


def payload(text: str, head: Head, max_depth: int = json.MAX_DEPTH) -> Any:
    """Parse the payload of a packet; raises `PacketError`."""
    if head.begin >= len(text) and head.type != CONNECT_ERROR:
        return None
    try:
        data = json.loads_mended(text[head.begin :], max_depth)
    except json.JsonError as error:
        raise PacketError(f"invalid JSON: {error}") from None
    check(head.type, data)
    return data


def decode(text: str, max_attachments: int = 10, max_depth: int = json.MAX_DEPTH) -> Packet:
    """Decode the text of one packet; of a binary one the attachments are still missing (see `Assembler`).

    Raises `PacketError`.
    """
    first = head(text, max_attachments)
    return Packet(first.type, first.namespace, payload(text, first, max_depth), first.id, first.attachments)


def decode_event(
    text: str, joined: Mapping[str, JoinedT], max_depth: int = json.MAX_DEPTH
) -> tuple[JoinedT, list[Any], int | None]:
    """Decode an EVENT without attachments, as most packets are: what `joined` has for its namespace, its array, its id.

    Raises `PacketError`: `NotJoined` before the payload is parsed, `EmptyEvent` if there is none.
    """
    namespace, at = ("/", 1) if text[1:2] != "/" else _namespace(text, 1)
    receiver = joined.get(namespace)
    if receiver is None:
        raise NotJoined(namespace)
    id, at = (None, at) if text[at : at + 1] == "[" else _ack_id(text, at)
    try:
        data = json.loads_mended(text[at:], max_depth)
    except json.JsonError as error:
        if at >= len(text):
            raise EmptyEvent("payload missing") from None
        raise PacketError(f"invalid JSON: {error}") from None
    if type(data) is not list or not data or not is_event_name(data[0]):
        raise PacketError("invalid payload")
    return receiver, data, id


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
    # No array follows: an object, nothing, or what is no packet.
    end = _DIGITS.match(text, at, at + MAX_ID_DIGITS + 1).end()  # type: ignore[union-attr]  # it may match nothing
    if end - at > MAX_ID_DIGITS:
        raise PacketError("ack id too long")
    return (int(text[at:end]), end) if end > at else (None, at)


_DIGITS = re.compile("[0-9]*")


def check(kind: int, data: Any) -> None:
    """Check rules 1, 2 and 5 for a packet with `data`; raises `PacketError`."""
    if kind == EVENT:
        valid = type(data) is list and bool(data) and is_event_name(data[0])
    elif kind == ACK:
        valid = type(data) is list
    else:
        valid = kind == CONNECT and type(data) is dict
        if valid and _values(data) > MAX_CONNECT_VALUES:
            raise PacketError("too many values in a CONNECT")
    if not valid:
        raise PacketError("invalid payload")


def _values(data: Any) -> int:
    """The number of values in a payload, counted to `MAX_CONNECT_VALUES` and some more."""
    found = 0
    waiting = [data]
    while waiting and found <= MAX_CONNECT_VALUES:
        value = waiting.pop()
        if type(value) in (list, dict):
            found += len(value)
            waiting.extend(value.values() if type(value) is dict else value)
    return found


def is_event_name(name: Any) -> bool:
    """Whether a peer may send an event with this name: text that is not reserved, or a number."""
    return (type(name) is str and name not in RESERVED_EVENTS) or type(name) in (int, float)


_ATOMS = frozenset({str, int, float, bool, type(None)})
"""Types without placeholders in them: most values, for which a call each would be wasted."""


class Assembler:
    """Collects the attachments of one binary packet. The limits are those of rule 3."""

    __slots__ = ("_buffers", "_max_bytes", "_max_references", "_packet")

    def __init__(self, packet: Packet, max_references: int, max_bytes: int) -> None:
        self._packet = packet
        self._max_references = max_references
        self._max_bytes = max_bytes
        self._buffers: list[bytes] = []

    def add(self, attachment: bytes) -> Packet | None:
        """Return the complete packet with its last attachment, else None; raises `PacketError`."""
        self._buffers.append(attachment)
        if len(self._buffers) < self._packet.attachments:
            return None
        self._packet.data = self._filled(self._packet.data)
        return self._packet

    def _filled(self, value: Any) -> Any:
        """Replace placeholders by their attachments, in the lists and dicts themselves: they have just been parsed."""
        if type(value) is list:
            # Most lists have none, and this tells so without a step for each item.
            if not _ATOMS.issuperset(map(type, value)):
                for at, item in enumerate(value):
                    if type(item) not in _ATOMS:
                        value[at] = self._filled(item)
        elif type(value) is dict:
            if value.get("_placeholder") is True:
                return self._referenced(value.get("num"))
            if not _ATOMS.issuperset(map(type, value.values())):
                for key, item in value.items():
                    if type(item) not in _ATOMS:
                        value[key] = self._filled(item)
        return value

    def _referenced(self, num: Any) -> bytes | None:
        """The attachment; None for a fraction, which is `undefined` in JavaScript."""
        if type(num) not in (int, float) or not 0 <= num < len(self._buffers):
            raise PacketError("placeholder out of range")
        if num != int(num):
            return None
        attachment = self._buffers[int(num)]
        self._max_references -= 1
        self._max_bytes -= len(attachment)
        if self._max_references < 0 or self._max_bytes < 0:
            raise PacketError("attachments referenced too often")
        return attachment


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
