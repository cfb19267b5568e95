"""Channel names of the classic Redis adapter, and the ids in its messages.

Names of namespaces and rooms are inserted unescaped. Only our own pattern escapes them, since `*?[` in a namespace
would match other channels; the receiver checks the beginning of the channel in any case.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Sequence

EMITTER_UID = "emitter"
_GLOB = re.compile(r"([*?\[\]\\])")
_ALPHABET = string.ascii_letters + string.digits


def new_uid() -> str:
    """Return a new id of a server in a namespace: six characters, as in Node."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def new_request_id() -> str:
    """Return a new request id: sixteen characters, where Node has six, so that two servers never choose the same."""
    return secrets.token_hex(8)


class Channels:
    """The channel names of one namespace."""

    __slots__ = ("broadcast", "pattern", "request", "response")

    def __init__(self, key: str, nsp: str) -> None:
        self.broadcast = f"{key}#{nsp}#"
        self.pattern = _GLOB.sub(r"\\\1", self.broadcast) + "*"
        self.request = f"{key}-request#{nsp}#"
        self.response = f"{key}-response#{nsp}#"

    def response_to(self, uid: str) -> str:
        """Return the channel for responses to that server only."""
        return f"{self.response}{uid}#"

    def broadcast_to(self, rooms: Sequence[str]) -> str:
        """Return the channel of a broadcast; a single room has its own, so that servers without it skip the message."""
        return f"{self.broadcast}{rooms[0]}#" if len(rooms) == 1 else self.broadcast

    def room_of(self, channel: str) -> str | None:
        """Return the room in the name of a broadcast channel: "" for none; None for a channel of another namespace."""
        return channel[len(self.broadcast) : -1] if channel.startswith(self.broadcast) else None
