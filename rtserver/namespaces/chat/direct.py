"""The room of a direct conversation: `dm:<a>:<b>`, both user ids sorted. Pure.

Rules:
1. One pair, one room: `direct_room(a, b) == direct_room(b, a)`.
2. Two pairs, two rooms: `:` and `%` in an id are percent-encoded, so `("a:b", "c")` is not `("a", "b:c")`.
3. Nobody joins it: what is sent there reaches the `user:<id>` rooms of the two.
"""

from __future__ import annotations

PREFIX = "dm:"


def direct_room(one: str, other: str) -> str:
    first, second = sorted((one, other))
    return f"{PREFIX}{_encode(first)}:{_encode(second)}"


def partner_in(room: str, user: str) -> str | None:
    """The other one in the direct room `room` of `user`; None when it is not one, or not a room of `user`.

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
