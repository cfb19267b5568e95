"""permessage-deflate (RFC 7692) for a server: negotiation, compression of frames, and their reader. No I/O.

1. No zlib state outlives a message: every response has `server_no_context_takeover` and `client_no_context_takeover`.
   So a connection needs no memory for compression, and one compressed frame can be sent to many clients.
2. An offer with a parameter that is unknown, duplicated or invalid is declined, and the next offer is considered
   (7.1, 5.1).
3. A message of a client is inflated to at most `max_size` bytes and one, and checked for UTF-8 after that (6.2, 8). Of
   one of `LARGE_INFLATED` bytes or more, only as much is inflated at first as shows that it is large: it costs its
   sender a hundred bytes.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

from rtserver.protocol.frames import (
    BINARY,
    INVALID_DATA,
    TEXT,
    TOO_BIG,
    FrameError,
    FrameReader,
    Message,
    Undecoded,
    frame,
)

NAME = "permessage-deflate"
RSV1 = 0x40
LEVEL = 3
"""zlib's level: for JSON it needs a third of the time of the default, 6, and yields one eighth more bytes."""
LARGE_INFLATED = 8192
"""Bytes from which a compressed message is large."""
MAX_BITS = 15
_MIN_BITS = 9  # zlib compresses with windows from 2⁹ bytes on, RFC 7692 has them from 2⁸
_TAIL = b"\x00\x00\xff\xff"
_END = b"\x03\x00"

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]"  # noqa: S105  # of RFC 7230
_VALUE = rf'{_TOKEN}+|"(?:\\?{_TOKEN})+"'
_OFFER = re.compile(rf"[ \t]*({_TOKEN}+)((?:[ \t]*;[ \t]*{_TOKEN}+(?:=(?:{_VALUE}))?)*)[ \t]*(,|\Z)")
_PARAM = re.compile(rf"({_TOKEN}+)(?:=({_VALUE}))?")
_VALID = {
    "server_no_context_takeover": re.compile(""),
    "client_no_context_takeover": re.compile(""),
    "server_max_window_bits": re.compile("[89]|1[0-5]"),
    "client_max_window_bits": re.compile("([89]|1[0-5])?"),
}

Params = list[tuple[str, str]]
"""Names and values; "" for a parameter without value."""


class HeaderError(ValueError):
    """The `Sec-WebSocket-Extensions` header is malformed (RFC 6455, 9.1)."""


class Deflate(NamedTuple):
    """Parameters of compression; clients with equal parameters can share a compressed frame.

    `threshold`: bytes from which a message is compressed.
    """

    threshold: int
    window_bits: int = MAX_BITS

    def frame(self, payload: bytes, opcode: int) -> bytes:
        """Return one final frame, compressed if that makes it smaller."""
        if len(payload) >= self.threshold:
            packed = deflate(payload, self.window_bits)
            if len(packed) < len(payload):
                return frame(packed, opcode | RSV1)
        return frame(payload, opcode)


def negotiate(header: str) -> tuple[int, str] | None:
    """Return the window size for the client, in bits, and the response header; None if there is no acceptable offer.

    Raises `HeaderError`.
    """
    for name, params in _offers(header):
        if name == NAME and (bits := _window(params)):
            limit = f"; server_max_window_bits={bits}" if "server_max_window_bits" in dict(params) else ""
            return bits, f"{NAME}; server_no_context_takeover; client_no_context_takeover{limit}"
    return None


def _offers(header: str) -> list[tuple[str, Params]]:
    offers: list[tuple[str, Params]] = []
    at, more = 0, ","
    while more:
        offer = _OFFER.match(header, at)
        if offer is None:
            raise HeaderError(f"unexpected character at or after {at}")
        name, params, more = offer.groups()
        offers.append((name, [(param, re.sub(r'["\\]', "", value)) for param, value in _PARAM.findall(params)]))
        at = offer.end()
    return offers


def _window(params: Params) -> int:
    """Return the window size for the client, in bits; 0 if the offer has to be declined."""
    given = dict(params)
    if len(given) < len(params) or not all(name in _VALID and _VALID[name].fullmatch(given[name]) for name in given):
        return 0
    bits = int(given.get("server_max_window_bits", MAX_BITS))
    return bits if bits >= _MIN_BITS else 0


def deflate(payload: bytes, window_bits: int = MAX_BITS) -> bytes:
    """Return the payload of a compressed message.

    The window is as large as the message needs: the setup of a full one takes longer than compressing a kilobyte.
    """
    bits = max(_MIN_BITS, min(window_bits, (len(payload) - 1).bit_length()))
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -bits, min(8, bits - 6))
    return (packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]


def inflate(payload: bytes | bytearray, max_size: int) -> bytes:
    """Return the message that a client compressed into this payload; raises `FrameError`."""
    if not payload:
        return b""
    # The four bytes that a sender omits (7.2.2), and an end of stream: a truncated payload does not reach it.
    suffix = _TAIL + _END
    stream = zlib.decompressobj(-MAX_BITS)
    try:
        message = stream.decompress(payload + suffix, max_size + 1)
    except zlib.error:
        raise FrameError(INVALID_DATA, "not deflated") from None
    if len(message) > max_size:
        raise FrameError(TOO_BIG, "message is too big")
    # A client may end the stream itself, followed by a byte 0 (7.2.3.4).
    if not stream.eof or stream.unused_data not in (b"", suffix, b"\x00" + suffix):
        raise FrameError(INVALID_DATA, "not deflated to the end")
    return message


class InflatingReader(FrameReader):
    """Reader of a connection with the extension: RSV1 in a message's first frame marks it as compressed (6)."""

    __slots__ = ("_compressed",)

    _compressed: bool

    def _check_first(self, first: int, size: int) -> None:
        if first & 0x70 != RSV1 or first & 0x0F not in (TEXT, BINARY):
            super()._check_first(first, size)

    def _message(self, first: int, payload: bytearray) -> Message | Undecoded | None:
        opcode = first & 0x0F
        if opcode in (TEXT, BINARY) and self._fragments is None:
            self._compressed = bool(first & RSV1)
            if first == 0xC0 | opcode:
                return self._whole(opcode, payload)
        return super()._message(first & ~RSV1, payload)

    def _whole(self, opcode: int, payload: bytes | bytearray) -> Message | Undecoded:
        if not self._compressed:
            return super()._whole(opcode, payload)
        try:
            message = inflate(payload, min(self._max_size, LARGE_INFLATED - 1))
        except FrameError as error:
            if error.code == TOO_BIG and self._max_size >= LARGE_INFLATED:
                return Undecoded(opcode, payload)
            raise
        return super()._decoded(opcode, message)

    def _decoded(self, opcode: int, payload: bytes | bytearray) -> Message:
        return super()._decoded(opcode, inflate(payload, self._max_size) if self._compressed else payload)
