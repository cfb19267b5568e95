"""A message on its way out, encoded once for everybody it goes to.

Whoever emits makes one `Outgoing`; each form (frames of a WebSocket, packets of a polling payload, protocol revision 4
or 3) is made when the first session needs it, and shared by the rest.
"""

from __future__ import annotations

from rtserver.protocol import payloads
from rtserver.protocol.frames import BINARY, TEXT, frame

Part = str | bytes


class Outgoing:
    """Engine.IO packets in order: text with its type (`42[…]`), or the bytes of a binary message."""

    __slots__ = ("_frames", "_others", "_parts", "_text", "size")

    def __init__(self, text: bytes, *attachments: bytes) -> None:
        """`text` is one packet in UTF-8; binary messages follow."""
        self._text: bytes | None = text
        self._parts = attachments
        self._frames: bytes | None = None
        self._others: dict[tuple[int, bool], bytes] | None = None
        self.size = len(text)
        for attachment in attachments:
            self.size += len(attachment)

    @classmethod
    def binary(cls, data: bytes) -> Outgoing:
        """A binary message alone."""
        message = cls(b"")
        message._parts, message._text, message.size = (data,), None, len(data)
        return message

    @property
    def parts(self) -> tuple[Part, ...]:
        return self._parts if self._text is None else (self._text.decode(), *self._parts)

    @property
    def frames(self) -> bytes:
        """All parts as WebSocket frames, revision 4."""
        frames = self._frames
        if frames is None:
            frames = frame(self._text, TEXT) if self._text is not None else b""
            if self._parts:
                frames = b"".join((frames, *(frame(part, BINARY) for part in self._parts)))
            self._frames = frames
        return frames

    def frames_for(self, revision: int, base64: bool) -> bytes:
        """The same for a session of revision 3, or of a client that cannot take binary data."""
        if not self._parts:
            return self.frames
        if self._others is None:
            self._others = {}
        frames = self._others.get((revision, base64))
        if frames is None:
            frames = b"".join(part_frame(part, revision, base64) for part in self.parts)
            self._others[revision, base64] = frames
        return frames


def part_frame(part: Part, revision: int, base64: bool) -> bytes:
    """One packet as a WebSocket frame; a binary one of revision 3 begins with its packet type."""
    if isinstance(part, str):
        return frame(part.encode(), TEXT)
    if base64:
        return frame(payloads.encode_binary(part, revision).encode(), TEXT)
    return frame(part if revision == 4 else b"\x04" + part, BINARY)
