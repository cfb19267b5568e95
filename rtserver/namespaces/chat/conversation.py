"""Conversations: what clients address by `room` or `to`, and which room names are allowed. Pure.

1. A chat room is the namespace room of the same name. Clients cannot use the names that the server reserves:
   `user:<id>` (all devices of a user), `dm:<a>:<b>` (a direct conversation), and socket ids.
2. A direct room is `dm:<a>:<b>` with both user ids sorted: one room for each pair.
3. `:` and `%` in an id are percent-encoded, so that `("a:b", "c")` and `("a", "b:c")` have different rooms.
4. No socket joins a direct room: its events go to the `user:<id>` rooms of the two users.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtserver.errors import InvalidPayload
from rtserver.identity import user_room
from rtserver.ids import looks_like_sid
from rtserver.namespaces.chat.payloads import Place


@dataclass(frozen=True, slots=True)
class Conversation:
    """`room`: its name in the store and on the wire. `audience`: the namespace rooms that receive its events.

    `partner`: the other user of a direct conversation, None in a room.
    """

    room: str
    audience: tuple[str, ...]
    partner: str | None = None


def conversation(place: Place, user: str) -> Conversation:
    """The conversation that `user` addresses; raises `InvalidPayload` for a name that clients may not use."""
    return named_conversation(place.room, user) if place.room is not None else direct_conversation(place.to or "", user)


def named_conversation(room: str, user: str) -> Conversation:
    """The conversation with this room name. A user may also give the `dm:` name of an own direct conversation.

    Raises `InvalidPayload`.
    """
    partner = partner_in(room, user)
    return direct_conversation(partner, user) if partner is not None else room_conversation(room)


def backend_conversation(room: str) -> Conversation:
    """The conversation that a backend addresses: a room, or the direct conversation of any two users.

    Raises `InvalidPayload`.
    """
    pair = pair_of(room)
    if pair is None:
        return room_conversation(room)
    return Conversation(room, tuple(dict.fromkeys(map(user_room, pair))), pair[1])


def room_conversation(room: str) -> Conversation:
    """A room, not a direct conversation; raises `InvalidPayload`."""
    return Conversation(check_room_name(room), (room,))


def direct_conversation(partner: str, user: str) -> Conversation:
    """The direct conversation of two users, who may be the same."""
    audience = tuple(dict.fromkeys((user_room(user), user_room(partner))))
    return Conversation(direct_room(user, partner), audience, partner)


PREFIX = "dm:"


def direct_room(one: str, other: str) -> str:
    """The name of the direct room of two users (rules 2 and 3)."""
    first, second = sorted((one, other))
    return f"{PREFIX}{_encode(first)}:{_encode(second)}"


def partner_in(room: str, user: str) -> str | None:
    """The other user of the direct room `room`; None when it is no direct room, or not one of `user`.

    In a conversation with oneself the partner is oneself.
    """
    pair = pair_of(room)
    if pair is None or user not in pair:
        return None
    return pair[1] if pair[0] == user else pair[0]


def pair_of(room: str) -> tuple[str, str] | None:
    """The two users of a direct room; None for any other name."""
    if not room.startswith(PREFIX):
        return None
    first, _, second = room.removeprefix(PREFIX).partition(":")
    pair = (_decode(first), _decode(second))
    return pair if all(pair) and direct_room(*pair) == room else None


def _encode(user: str) -> str:
    return user.replace("%", "%25").replace(":", "%3A")


def _decode(user: str) -> str:
    return user.replace("%3A", ":").replace("%25", "%")


MAX_LENGTH = 200
MARKS = frozenset("-_.:@/#")
RESERVED_PREFIXES = ("user:", "dm:")


def check_room_name(name: str) -> str:
    """`name` itself if it is valid: 1 to 200 letters and digits of any script or marks, and not reserved.

    Raises `InvalidPayload`.
    """
    if not 1 <= len(name) <= MAX_LENGTH:
        raise InvalidPayload(f"A room name has 1 to {MAX_LENGTH} characters", details={"field": "room"})
    if not all(char in MARKS or char.isalnum() for char in name):
        raise InvalidPayload("A room name has letters, digits and -_.:@/# only", details={"field": "room"})
    if name.startswith(RESERVED_PREFIXES) or looks_like_sid(name):
        raise InvalidPayload("This room name is reserved", details={"field": "room"})
    return name
