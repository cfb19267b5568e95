"""Room names: text inside the server. Applications may also give an integer or a UUID, which stands for its text.

Node has rooms of any type, and 7 and "7" are two rooms there. Here, as on the wire between servers, a name is text:
1. An int and a UUID become text where they come in, so that every form of a name means the same room.
2. Anything else is a mistake that would reach nobody: it raises `TypeError`, also a bool, None and bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast
from uuid import UUID

RoomName = str | int | UUID
"""The name of a room, as an application may write it."""

_NO_COLLECTIONS = (str, int, UUID, bytes, bytearray, memoryview, Mapping)


def room_name(room: RoomName) -> str:
    """The name as text. Raises `TypeError` for what cannot be one."""
    if type(room) is str:
        return room
    if isinstance(room, str):
        return str.__str__(room)  # the text of a `StrEnum` member, for one
    if isinstance(room, int) and not isinstance(room, bool):
        return int.__repr__(room)
    if isinstance(room, UUID):
        return str(room)
    raise TypeError(f"the name of a room is text, an integer or a UUID, not {_shown(room)}")


def flat_rooms(rooms: tuple[RoomName | Iterable[RoomName], ...]) -> tuple[str, ...]:
    """Rooms given one by one or as collections, as in Node, as one tuple of text; raises `TypeError`."""
    if len(rooms) == 1 and type(rooms[0]) is str:
        return cast("tuple[str]", rooms)
    flat: list[str] = []
    for room in rooms:
        if type(room) is str:
            flat.append(room)
        elif isinstance(room, Iterable) and not isinstance(room, _NO_COLLECTIONS):
            flat.extend(map(room_name, room))
        else:
            flat.append(room_name(cast("RoomName", room)))
    return tuple(flat)


def _shown(room: object) -> str:
    """A wrong name for the message of the error, which must not become longer than a line."""
    if room is None or isinstance(room, bool):
        return repr(room)
    hint = ", which must be decoded first" if isinstance(room, bytes | bytearray | memoryview) else ""
    return f"a value of the type {type(room).__qualname__}{hint}"
