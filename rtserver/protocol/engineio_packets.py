"""Engine.IO packets and the payloads of long polling, protocol revisions 4 and 3. No I/O.

A packet is one character for its type, followed by its data. Binary data is always a message.

1. Revision 4 joins the packets of a payload with U+001E. A binary one is `b` and base64.
   Source: https://socket.io/docs/v4/engine-io-protocol/
2. Revision 3 puts the length in UTF-16 code units before each packet (`2:40`). A binary one is `b4` and base64.
3. Revision 3 in `application/octet-stream` puts before each packet a byte for its kind (0: text, 1: binary), the
   decimal digits of the length as bytes 0 to 9, and 0xFF. Source of 2 and 3: `engine.io-parser` 2.2.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
TYPES = frozenset("0123456")
SEPARATOR = "\x1e"

Packet = tuple[str, str | bytes]
"""The type and the data of a packet."""


class PayloadError(ValueError):
    """The payload violates the protocol."""


def decode_packet(text: str, revision: int = 4) -> Packet:
    """Decode one packet from text, a WebSocket frame or a part of a payload; raises `PayloadError`."""
    kind = text[:1]
    if kind in TYPES and kind:
        return kind, text[1:]
    head = "b" if revision == 4 else "b4"
    if text.startswith(head):
        return MESSAGE, _base64(text[len(head) :])
    raise PayloadError("unknown packet type")


def decode_binary(data: bytes, revision: int) -> bytes:
    """Return the message of a binary frame; in revision 3 the packet type is before it. Raises `PayloadError`."""
    if revision == 4:
        return data
    if data[:1] != b"\x04":
        raise PayloadError("a binary packet is a message")
    return data[1:]


def encode_binary(data: bytes, revision: int) -> str:
    """Encode a binary message as text."""
    return ("b" if revision == 4 else "b4") + base64.b64encode(data).decode()


def decode(body: str, max_packets: int) -> list[Packet]:
    """Decode the packets of a revision 4 payload; raises `PayloadError`."""
    if body.count(SEPARATOR) >= max_packets:
        raise PayloadError("too many packets in one payload")
    return [decode_packet(text) for text in body.split(SEPARATOR)]


def encode(parts: Iterable[str | bytes]) -> str:
    """Encode a revision 4 payload; each part is text with its type, or the bytes of a binary message."""
    return SEPARATOR.join(part if isinstance(part, str) else encode_binary(part, 4) for part in parts)


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise PayloadError("not base64") from None


# Revision 3.


def decode3(body: str, max_packets: int) -> list[Packet]:
    """Decode the packets of a revision 3 text payload; empty packets are skipped. Raises `PayloadError`."""
    if not body:
        raise PayloadError("empty payload")
    if not body.isascii():
        # Lengths are in UTF-16 code units, of two bytes each: a character beyond the BMP has two of them.
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
    """Decode the packets of a revision 3 payload in `application/octet-stream`; raises `PayloadError`."""
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
    """Encode a revision 3 payload as text."""
    texts = (part if isinstance(part, str) else encode_binary(part, 3) for part in parts)
    return "".join(f"{_units(text)}:{text}" for text in texts) or "0:"


def encode3_binary(parts: Iterable[str | bytes]) -> bytes:
    """Encode a revision 3 payload as `application/octet-stream`."""
    out = bytearray()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else b"\x04" + part
        out.append(0 if isinstance(part, str) else 1)
        out += bytes(map(int, str(len(raw)))) + b"\xff" + raw
    return bytes(out)


def _units(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
