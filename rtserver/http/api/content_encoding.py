"""Content encodings of request bodies: gzip and deflate, inflated piece by piece and never beyond a limit. No I/O.

1. An inflater yields at most one byte more than its limit, however much the input holds; that byte tells the caller.
2. There is one stream, with nothing behind it. RFC 1952 (section 2.2) lets gzip have several, but each costs the setup
   of a stream however short it is, and no client needs them.
3. `deflate` is the zlib format (RFC 9110, section 8.4.1.2). Some clients send the bare stream of RFC 1951, which is
   accepted as well: its first byte differs.
"""

from __future__ import annotations

import zlib

ENCODINGS = frozenset({"gzip", "deflate"})
_GZIP_BITS = 16 + zlib.MAX_WBITS
_ZLIB_METHOD = 8
"""In the lower half of the first byte of the zlib format."""


class EncodingError(ValueError):
    """The body is not what its encoding says."""


class Inflater:
    """The stream of one body."""

    __slots__ = ("_encoding", "_room", "_stream")

    def __init__(self, encoding: str, limit: int) -> None:
        """`encoding` is one of `ENCODINGS`; `limit`: bytes of the content."""
        self._encoding = encoding
        self._room = limit + 1
        self._stream = None if encoding == "deflate" else zlib.decompressobj(_GZIP_BITS)

    def feed(self, data: bytes) -> bytes:
        """Return the content of these bytes, empty once there is no more room; raises `EncodingError`."""
        if not data or not self._room:
            return b""
        if self._stream is None:
            bare = data[0] & 0x0F != _ZLIB_METHOD
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS if bare else zlib.MAX_WBITS)
        try:
            content = self._stream.decompress(data, self._room)
        except zlib.error:
            raise EncodingError(f"not {self._encoding}") from None
        self._room -= len(content)
        # What does not fit stays in `unconsumed_tail`, and is dropped: the body is too large.
        if self._stream.unused_data:
            raise EncodingError("bytes behind the end of the stream")
        return content

    def finish(self) -> None:
        """Raise `EncodingError` unless the stream is complete."""
        if self._stream is None or not self._stream.eof:
            raise EncodingError(f"not {self._encoding} to its end")
