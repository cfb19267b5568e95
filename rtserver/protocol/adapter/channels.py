"""Channel names of the classic Redis adapter, and the ids that its messages carry.

Names go into channels as they are. Our own pattern escapes them, since `*?[` in a namespace would match more;
whoever receives checks the channel's beginning in any case.
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
    """Six characters, for a server in a namespace."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(6))


def new_request_id() -> str:
    """Node takes six characters; of sixteen, two servers never choose the same."""
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
        return f"{self.response}{uid}#"

    def broadcast_to(self, rooms: Sequence[str]) -> str:
        """A single room has a channel of its own, so that servers without it need not decode the message."""
        return f"{self.broadcast}{rooms[0]}#" if len(rooms) == 1 else self.broadcast

    def room_of(self, channel: str) -> str | None:
        """The room that a broadcast channel names: "" for none, None when it is of another namespace."""
        return channel[len(self.broadcast) : -1] if channel.startswith(self.broadcast) else None
