"""The messages of the classic Redis adapter as values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

MAX_ITEMS = 200_000
"""Rooms or sockets in one message."""
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_NUMBERS_BEGIN = frozenset("-0123456789")


class MalformedMessage(ValueError):
    """The bytes are not a message of this protocol; they are counted and ignored."""


class RequestType(IntEnum):
    SOCKETS = 0
    ALL_ROOMS = 1
    REMOTE_JOIN = 2
    REMOTE_LEAVE = 3
    REMOTE_DISCONNECT = 4
    REMOTE_FETCH = 5
    SERVER_SIDE_EMIT = 6
    BROADCAST = 7
    BROADCAST_CLIENT_COUNT = 8
    BROADCAST_ACK = 9


# One of each for every event that crosses: a Struct is made in a fifth of the time of a frozen dataclass.
class Options(msgspec.Struct, frozen=True):
    """Whom a message addresses: members of any of `rooms` (none = everybody), without those in `except_`."""

    rooms: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    flags: Mapping[str, Any] = {}

    def wire(self, *, flags: bool = False) -> dict[str, Any]:
        rooms = both_forms(self.rooms)
        except_ = both_forms(self.except_) if self.except_ else []
        if flags:
            return {"rooms": rooms, "except": except_, "flags": dict(self.flags) if self.flags else {}}
        return {"rooms": rooms, "except": except_}


class Broadcast(msgspec.Struct, frozen=True):
    """`args` is `[event, *args]`."""

    uid: Any
    nsp: str
    args: list[Any]
    options: Options


@dataclass(frozen=True, slots=True)
class Request:
    """What another server asks. Which fields mean something is a matter of `type`: see `_READERS`.

    `reply_only_if_present`: the form of old servers, about one socket, answered by the server that has it.
    """

    type: RequestType
    uid: str | None = None
    request_id: str | None = None
    options: Options = field(default_factory=Options)
    rooms: tuple[str, ...] = ()
    close: bool = False
    nsp: str = "/"
    args: list[Any] = field(default_factory=list)
    reply_only_if_present: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """`body` as it came: what is asked of it depends on the request it answers."""

    request_id: str
    type: int | None
    body: Mapping[str, Any]

    @property
    def client_count(self) -> int:
        count = self.body.get("clientCount")
        if type(count) is not int or count < 0:
            raise MalformedMessage("clientCount is not a count")
        return count

    def items(self, name: str) -> list[Any]:
        items = self.body.get(name)
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            raise MalformedMessage(f"{name} is not a list, or too long")
        return items


def both_forms(rooms: Collection[str]) -> list[str | int]:
    """To Node the rooms 7 and "7" are two; here rooms are text, so a number goes out as both."""
    forms: list[str | int] = []
    for room in rooms if len(rooms) < 2 else dict.fromkeys(rooms):
        forms.append(room)
        if room[:1] in _NUMBERS_BEGIN and _NUMBER.fullmatch(room):
            forms.append(int(room))
    return forms


def texts(items: Iterable[Any]) -> set[str]:
    """Those of `items` that are names; a peer's list is read leniently."""
    return {str(item) for item in items if isinstance(item, str) or type(item) is int}
