"""Prepared message: an outgoing message that is encoded once for all its recipients.

A broadcast creates one `PreparedMessage`. Each encoding (WebSocket frames, compressed or not; packets of a polling
payload; protocol revision 4 or 3) is made when the first session needs it, and shared by all others.
"""

from __future__ import annotations

from rtserver.protocol import engineio_packets
from rtserver.protocol.frames import BINARY, TEXT, frame
from rtserver.protocol.permessage_deflate import Deflate

Part = str | bytes


class PreparedMessage:
    """Engine.IO packets in order: text with its type (`42[…]`), or the bytes of a binary message.

    `size`: bytes of its content. `compress`: False sends it uncompressed.
    """

    __slots__ = ("_encodings", "_frames", "_parts", "_text", "compress", "size")

    def __init__(self, text: bytes, *attachments: bytes) -> None:
        """`text`: one packet in UTF-8, followed by the attachments as binary messages."""
        self._text: bytes | None = text
        self._parts = attachments
        self._frames: bytes | None = None
        self._encodings: dict[tuple[int, bool, Deflate | None], bytes] | None = None
        self.compress = True
        self.size = len(text)
        for attachment in attachments:
            self.size += len(attachment)

    @classmethod
    def binary(cls, data: bytes) -> PreparedMessage:
        """Return a message that is one binary packet."""
        message = cls(b"")
        message._parts, message._text, message.size = (data,), None, len(data)
        return message

    @property
    def count(self) -> int:
        """The number of its packets."""
        return len(self._parts) + (self._text is not None)

    @property
    def parts(self) -> tuple[Part, ...]:
        """The packets of a polling payload."""
        return self._parts if self._text is None else (self._text.decode(), *self._parts)

    @property
    def frames(self) -> bytes:
        """All parts as WebSocket frames of revision 4."""
        frames = self._frames
        if frames is None:
            frames = frame(self._text, TEXT) if self._text is not None else b""
            if self._parts:
                frames = b"".join((frames, *(frame(part, BINARY) for part in self._parts)))
            self._frames = frames
        return frames

    def frames_for(self, revision: int, base64: bool, deflate: Deflate | None = None) -> bytes:
        """All parts as WebSocket frames for a session of revision 3, without binary data, or with compression."""
        if deflate is not None and (self.size < deflate.threshold or not self.compress):
            deflate = None
        if deflate is None and (not self._parts or (revision == 4 and not base64)):
            return self.frames
        if not self._parts:
            revision, base64 = 4, False
        if self._encodings is None:
            self._encodings = {}
        frames = self._encodings.get((revision, base64, deflate))
        if frames is None:
            frames = b"".join([part_frame(part, revision, base64, deflate) for part in self.parts])
            self._encodings[revision, base64, deflate] = frames
        return frames


def part_frame(part: Part, revision: int, base64: bool, deflate: Deflate | None = None) -> bytes:
    """Return one packet as a WebSocket frame; a binary one of revision 3 begins with its packet type."""
    framed = frame if deflate is None else deflate.frame
    if isinstance(part, str):
        return framed(part.encode(), TEXT)
    if base64:
        return framed(engineio_packets.encode_binary(part, revision).encode(), TEXT)
    return framed(part if revision == 4 else b"\x04" + part, BINARY)
