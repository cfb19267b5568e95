"""Resolves what a client names (`room` or `to`) to a conversation. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from rtserver.identity import user_room
from rtserver.namespaces.chat.direct import direct_room, pair_of, partner_in
from rtserver.namespaces.chat.names import check_room_name
from rtserver.namespaces.chat.payloads import Place


@dataclass(frozen=True, slots=True)
class Conversation:
    """`room` is its name in the store and on the wire; `audience` are the rooms of the namespace to tell.

    `partner` is the other user of a direct conversation, None in a room.
    """

    room: str
    audience: tuple[str, ...]
    partner: str | None = None


def conversation(place: Place, user: str) -> Conversation:
    """Where `user` means; raises `InvalidPayload` for a name that clients may not use."""
    return named(place.room, user) if place.room is not None else direct(place.to or "", user)


def named(room: str, user: str) -> Conversation:
    """A room by its name; one's own direct conversations may be called by theirs, as messages carry it."""
    partner = partner_in(room, user)
    return direct(partner, user) if partner is not None else in_room(room)


def backends(room: str) -> Conversation:
    """Where a backend means, which may name the direct conversation of any two."""
    pair = pair_of(room)
    if pair is None:
        return in_room(room)
    return Conversation(room, tuple(dict.fromkeys(map(user_room, pair))), pair[1])


def in_room(room: str) -> Conversation:
    return Conversation(check_room_name(room), (room,))


def direct(partner: str, user: str) -> Conversation:
    audience = tuple(dict.fromkeys((user_room(user), user_room(partner))))
    return Conversation(direct_room(user, partner), audience, partner)
