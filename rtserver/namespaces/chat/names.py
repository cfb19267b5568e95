"""Which room names a client may use. Pure.

A room of the chat is a room of the namespace under the same name, so a client must not be able to name the
rooms that the server keeps for itself: `user:<id>` (every device of a user), `dm:<a>:<b>` (a direct conversation)
and a socket's own room, which is called like its id.
"""

from __future__ import annotations

from rtserver.errors import InvalidPayload
from rtserver.sio.ids import looks_like_sid

MAX_LENGTH = 200
MARKS = frozenset("-_.:@/#")
RESERVED_PREFIXES = ("user:", "dm:")


def check_room_name(name: str) -> str:
    """`name` itself, when it is 1 to 200 letters, digits (of any script) and marks, and not reserved."""
    if not 1 <= len(name) <= MAX_LENGTH:
        raise InvalidPayload(f"A room name has 1 to {MAX_LENGTH} characters", details={"field": "room"})
    if not all(char in MARKS or char.isalnum() for char in name):
        raise InvalidPayload("A room name has letters, digits and -_.:@/# only", details={"field": "room"})
    if name.startswith(RESERVED_PREFIXES) or looks_like_sid(name):
        raise InvalidPayload("This room name is reserved", details={"field": "room"})
    return name
