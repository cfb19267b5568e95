"""Limit of request bodies: the bytes that carry no content, and what is known of a body before it is read. No I/O.

A body may come in chunks of any size. Each costs the parser as much as a kilobyte of content, and has at least five
bytes of framing: its size and two line ends.

1. The framing of a body may have `FREE` bytes, and an eighth of the content more. Beyond that the body is refused, so
   chunks of 48 bytes and more are always accepted, and of chunks of one byte about seven thousand.
2. What may have many chunks is parsed in `PIECE`s, so that a body is refused before most of it is parsed.
"""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp.streams import StreamReader

FREE = 32_768
SHARE = 8
PIECE = 8192
_LINES = 512
"""Lines in which data is still parsed at once."""


def is_wasteful(framing: int, content: int) -> bool:
    """Whether a body has too many bytes of framing for its bytes of content (rule 1)."""
    return framing > FREE + content // SHARE


def pieces(data: bytes) -> Iterator[bytes]:
    """Yield what was received in the pieces in which it is parsed (rule 2)."""
    if data.count(b"\r\n") <= _LINES:
        yield data
    else:
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]


def is_inflated(body: StreamReader) -> bool:
    """Whether aiohttp inflates this body as it is parsed, which an application may have switched off."""
    return getattr(body, "total_compressed_bytes", None) is not None
