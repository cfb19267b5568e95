"""Engine.IO packets and the payloads of long polling, protocol revisions 4 and 3. No I/O.

A packet is one character for its type and then its data; binary data is a message. Sources:
https://socket.io/docs/v4/engine-io-protocol/ (4); `engine.io-parser` 2.2 (3).

Revision 4 joins packets with U+001E, binary ones as `b` and base64. Revision 3 puts the length in UTF-16 units before
each packet (`2:40`), binary ones as `b4` and base64, or, in `application/octet-stream`, a byte for the kind, the
decimal digits of the length as bytes, 0xFF, and the data.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
TYPES = frozenset("0123456")
SEPARATOR = "\x1e"

Packet = tuple[str, str | bytes]
"""Its type and its data."""


class PayloadError(ValueError):
    """The payload is not one of this protocol."""


def decode_packet(text: str, revision: int = 4) -> Packet:
    """One packet as text: a WebSocket frame, or a part of a payload."""
    kind = text[:1]
    if kind in TYPES and kind:
        return kind, text[1:]
    head = "b" if revision == 4 else "b4"
    if text.startswith(head):
        return MESSAGE, _base64(text[len(head) :])
    raise PayloadError("unknown packet type")


def decode_binary(data: bytes, revision: int) -> bytes:
    """The message in a binary frame; revision 3 has the packet type before it."""
    if revision == 4:
        return data
    if data[:1] != b"\x04":
        raise PayloadError("a binary packet is a message")
    return data[1:]


def encode_binary(data: bytes, revision: int) -> str:
    """A binary message as text, for what carries nothing else."""
    return ("b" if revision == 4 else "b4") + base64.b64encode(data).decode()


def decode(body: str, max_packets: int) -> list[Packet]:
    """The packets of a revision 4 payload."""
    if body.count(SEPARATOR) >= max_packets:
        raise PayloadError("too many packets in one payload")
    return [decode_packet(text) for text in body.split(SEPARATOR)]


def encode(parts: Iterable[str | bytes]) -> str:
    """A revision 4 payload of encoded packets: text with its type, or the bytes of a binary message."""
    return SEPARATOR.join(part if isinstance(part, str) else encode_binary(part, 4) for part in parts)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PayloadError("not base64") from None


# Revision 3.


def decode3(body: str, max_packets: int) -> list[Packet]:
    """The packets of a revision 3 text payload, whose lengths count UTF-16 units; empty ones are passed over."""
    if not body:
        raise PayloadError("empty payload")
    if not body.isascii():
        # A character beyond the BMP counts twice: measure in UTF-16, where every unit has two bytes.
        units = body.encode("utf-16-le", "surrogatepass")
        return [decode_packet(_from_units(raw), 3) for raw in _split3(units, 2, max_packets)]
    return [decode_packet(raw.decode(), 3) for raw in _split3(body.encode(), 1, max_packets)]


def _split3(data: bytes, width: int, max_packets: int) -> Iterable[bytes]:
    at = 0
    colon = b":" if width == 1 else b":\0"
    packets = 0
    while at < len(data):
        end = data.find(colon, at, at + 12 * width)
        digits = data[at:end:width] if end >= 0 else b""
        if not digits.isdigit():
            raise PayloadError("not a length")
        begin = end + width
        at = begin + int(digits) * width
        packets += 1
        if at > len(data) or packets > max_packets:
            raise PayloadError("length beyond the payload" if at > len(data) else "too many packets in one payload")
        if at > begin:
            yield data[begin:at]


def _from_units(raw: bytes) -> str:
    try:
        return raw.decode("utf-16-le")
    except UnicodeDecodeError:
        raise PayloadError("length splits a character") from None


def decode3_binary(body: bytes, max_packets: int) -> list[Packet]:
    """The packets of a revision 3 payload in `application/octet-stream`."""
    packets: list[Packet] = []
    at = 0
    while at < len(body):
        end = body.find(0xFF, at, at + 12)
        digits = body[at + 1 : end]
        if body[at] > 1 or end < 0 or not digits or max(digits) > 9:
            raise PayloadError("not a length")
        begin = end + 1
        at, binary = begin + int("".join(map(str, digits))), body[at] == 1
        if at > len(body) or len(packets) >= max_packets:
            raise PayloadError("length beyond the payload" if at > len(body) else "too many packets in one payload")
        packets.append((MESSAGE, decode_binary(body[begin:at], 3)) if binary else _string3(body[begin:at]))
    return packets


def _string3(raw: bytes) -> Packet:
    try:
        return decode_packet(raw.decode(), 3)
    except UnicodeDecodeError:
        raise PayloadError("not UTF-8") from None


def encode3(parts: Iterable[str | bytes]) -> str:
    """A revision 3 payload as text."""
    texts = (part if isinstance(part, str) else encode_binary(part, 3) for part in parts)
    return "".join(f"{_units(text)}:{text}" for text in texts) or "0:"


def encode3_binary(parts: Iterable[str | bytes]) -> bytes:
    """The same where a part is binary and the client takes bytes."""
    out = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else b"\x04" + part
        out.append(0 if isinstance(part, str) else 1)
        out += bytes(map(int, str(len(raw)))) + b"\xff" + raw
    return bytes(out)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
