"""WebSocket frames as a server reads and writes them: bytes to messages and back. No I/O.

Rules of RFC 6455 enforced here; a violation is a `FrameError` with the close code to send:
1. Frames of a client are masked (5.1); reserved bits are zero (5.2), except with `permessage_deflate`.
2. Control frames are not fragmented and carry at most 125 bytes (5.5); only six opcodes are defined (5.2).
3. A fragmented message is its opcode followed by continuations; control frames may come between them (5.4).
4. Text is UTF-8 (8.1); a close frame is empty, or has a valid code and UTF-8 text (5.5.1, 7.4).
5. Not from the RFC: a message has at most `max_size` bytes, which is checked before its payload is buffered.
6. Nor this: a message of `LARGE_BYTES` or more is announced before it is decoded, so that the caller can wait with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from struct import pack
from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

NORMAL, GOING_AWAY, PROTOCOL_ERROR, INVALID_DATA, TOO_BIG = 1000, 1001, 1002, 1007, 1009
_RECEIVABLE_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})

Mask = Callable[[bytes, bytearray], None]
Message = tuple[int, str | bytes]
"""An opcode and the complete payload; text is a `str`."""
PART: Message = (CONTINUATION, b"")
"""Yielded in place of a message, for a frame that does not complete one."""
LARGE = 0xB
"""The opcode, which no frame has, of an announcement (rule 6)."""
LARGE_BYTES = 65_536
ANNOUNCEMENT: Message = (LARGE, b"")
"""Yielded before a large message, which is decoded when it is asked for."""


class Undecoded(NamedTuple):
    """A large message before it is decoded."""

    opcode: int
    payload: bytes | bytearray


class FrameError(ValueError):
    """The peer violated RFC 6455; `code` is the close code to send."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


_FIN, _RESERVED, _OPCODE = 0x80, 0x70, 0x0F
"""The bits of a frame's first byte. The second byte is the mask bit, 0x80, and a length of seven bits."""

_SHORT = {opcode: tuple(bytes((0x80 | opcode, size)) for size in range(126)) for opcode in (TEXT, BINARY)}


def frame(payload: bytes, opcode: int) -> bytes:
    """Return one final, unmasked frame."""
    size = len(payload)
    if size < 126:
        heads = _SHORT.get(opcode)
        return (heads[size] if heads is not None else bytes((0x80 | opcode, size))) + payload
    if size < 65536:
        return pack("!BBH", 0x80 | opcode, 126, size) + payload
    return pack("!BBQ", 0x80 | opcode, 127, size) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame; the reason is cut to 120 bytes."""
    return frame(pack("!H", code) + reason.encode()[:120], CLOSE)


def unmask(mask: bytes, payload: bytearray) -> None:
    """Unmask the payload in place, in pure Python."""
    size = len(payload)
    key = (mask * (size // 4 + 1))[:size]
    plain = int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")
    payload[:] = plain.to_bytes(size, "little")


class FrameReader:
    """Parser of a connection's bytes, in whatever pieces they arrive, into complete messages.

    An incomplete frame is buffered and parsed again only when enough bytes for the next step have arrived: a client
    that sends byte by byte costs linear time, like any other.
    """

    __slots__ = ("_buffer", "_fragments", "_mask", "_max_size", "_needed", "_opcode", "_short", "more")

    def __init__(self, max_size: int, mask: Mask = unmask) -> None:
        self._max_size = max_size
        self._short = 0x80 + min(125, max_size)
        self._mask = mask
        self._buffer: bytearray | None = None
        self._needed = 0
        self._opcode = CONTINUATION
        self._fragments: bytearray | None = None
        self.more = False
        """Whether the bytes fed contain more behind the latest message."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """Yield the messages that these bytes complete, and `PART` for each frame that completes none.

        Before a large message an `ANNOUNCEMENT` is yielded.

        Frames are parsed (and inflated) lazily. The iterator may rest between two messages, but must be exhausted
        before anything else is fed. It raises `FrameError`; nothing may be fed after that.
        """
        if self._buffer is not None:
            self._buffer += data
            if len(self._buffer) < self._needed:
                return
            data, self._buffer = bytes(self._buffer), None
        at, length, mask, short_size = 0, len(data), self._mask, self._short
        while True:
            # Nearly all frames are short, complete texts. The numbers are literals, as this is the hottest loop of all:
            # 0x81 is FIN and TEXT; a second byte of 0x80 + n means masked, with n < 126 bytes. The frame has 6 bytes
            # more (two of head, four of mask), so it ends at `at + size - 0x80 + 6`.
            while at + 6 <= length and data[at] == 0x81 and self._fragments is None:
                size = data[at + 1]
                end = at + size - 0x7A
                if not 0x80 <= size <= short_size or end > length:
                    break
                short = bytearray(data[at + 6 : end])
                mask(data[at + 2 : at + 6], short)
                self.more = end < length
                yield TEXT, _text(short)
                at = end
            begin, end = self._extent(data, at)
            if end > length:
                if at < length:
                    self._buffer, self._needed = bytearray(data[at:]), end - at
                return
            payload = bytearray(data[begin:end])
            mask(data[begin - 4 : begin], payload)
            self.more = end < length
            message = self._message(data[at], payload)
            if type(message) is Undecoded:  # faster than `isinstance`
                yield ANNOUNCEMENT
                message = self._decoded(*message)
            yield message or PART  # type: ignore[misc]  # mypy does not narrow by the exact type
            at = end

    def short_text(self, data: bytes) -> str | None:
        """Return the text, if these bytes are exactly one short text frame, as most reads are; else None.

        The numbers are those of `feed`.
        """
        if self._buffer is not None or self._fragments is not None or len(data) < 6 or data[0] != 0x81:
            return None
        size = data[1]
        if not 0x80 <= size <= self._short or len(data) != size - 0x7A:
            return None
        payload = bytearray(data[6:])
        self._mask(data[2:6], payload)
        return _text(payload)

    def _extent(self, data: bytes, at: int) -> tuple[int, int]:
        """Return where the payload of the frame at `at` begins and ends; an end past the data is what is needed next.

        All first bytes of a data frame without reserved bits, final or not, are listed; others are checked.
        """
        known = len(data) - at
        if known < 2:
            return 0, at + 2
        first, size = data[at], data[at + 1]
        if size < 0x80:
            raise FrameError(PROTOCOL_ERROR, "frame is not masked")
        size &= 0x7F
        begin = at + 6
        if first not in (0x81, 0x82, 0x01, 0x02, 0x00, 0x80):
            self._check_first(first, size)
        if size == 126:
            if known < 4:
                return 0, at + 4
            size = int.from_bytes(data[at + 2 : at + 4], "big")
            begin = at + 8
        elif size == 127:
            if known < 10:
                return 0, at + 10
            size = int.from_bytes(data[at + 2 : at + 10], "big")
            begin = at + 14
        if size > 125 or self._max_size < 125 or self._fragments is not None:
            self._check_size(first, size)
        return begin, begin + size

    def _check_size(self, first: int, size: int) -> None:
        if first & _OPCODE < CLOSE and size + len(self._fragments or b"") > self._max_size:
            raise FrameError(TOO_BIG, "message is too big")

    def _message(self, first: int, payload: bytearray) -> Message | Undecoded | None:
        if first == 0x81 and self._fragments is None and len(payload) < LARGE_BYTES:
            return TEXT, _text(payload)
        opcode = first & 0x0F
        if opcode >= CLOSE:
            if opcode == CLOSE:
                _check_close(payload)
            return opcode, bytes(payload)
        return self._data(opcode, first >= _FIN, payload)

    def _data(self, opcode: int, final: bool, payload: bytearray) -> Message | Undecoded | None:
        if self._fragments is None:
            if opcode == CONTINUATION:
                raise FrameError(PROTOCOL_ERROR, "continuation of nothing")
            if final:
                return self._whole(opcode, payload)
            self._opcode, self._fragments = opcode, payload
            return None
        if opcode != CONTINUATION:
            raise FrameError(PROTOCOL_ERROR, "message within a message")
        self._fragments += payload
        if not final:
            return None
        whole, self._fragments = self._fragments, None
        return self._whole(self._opcode, whole)

    def _whole(self, opcode: int, payload: bytes | bytearray) -> Message | Undecoded:
        return Undecoded(opcode, payload) if len(payload) >= LARGE_BYTES else self._decoded(opcode, payload)

    def _decoded(self, opcode: int, payload: bytes | bytearray) -> Message:
        return opcode, _text(payload) if opcode == TEXT else bytes(payload)

    def _check_first(self, first: int, size: int) -> None:
        """Rules 1 and 2, for every first byte but that of a data frame without reserved bits."""
        if first & _RESERVED:
            raise FrameError(PROTOCOL_ERROR, "reserved bits are set")
        if first & _OPCODE not in (CLOSE, PING, PONG):
            raise FrameError(PROTOCOL_ERROR, "unknown opcode")
        if first < _FIN or size > 125:
            raise FrameError(PROTOCOL_ERROR, "control frame is fragmented or too long")


def _check_close(payload: bytearray) -> None:
    if not payload:
        return
    code = int.from_bytes(payload[:2], "big")
    if len(payload) < 2 or not (code in _RECEIVABLE_CODES or 3000 <= code < 5000):
        raise FrameError(PROTOCOL_ERROR, "invalid close code")
    _text(payload[2:])


def _text(payload: bytes | bytearray) -> str:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        raise FrameError(INVALID_DATA, "text is not UTF-8") from None
