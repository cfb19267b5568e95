"""The messages of the classic Redis adapter as values."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import msgspec

MAX_ITEMS = 200_000
"""The largest number of rooms or sockets in one message."""
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,14}")
_NUMBERS_BEGIN = frozenset("-0123456789")


class MalformedMessage(ValueError):
    """The bytes are not a message of this protocol. The receiver counts and ignores them."""


class Misaddressed(MalformedMessage):
    """The message is well-formed, but not for this receiver: for another namespace, or of a type that this protocol has
    not. It is ignored and not counted, as servers of a cluster may differ in their namespaces."""


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


# Each event between servers creates one of each: a Struct takes a fifth of the time of a frozen dataclass.
class Options(msgspec.Struct, frozen=True):
    """The target of a message: members of any of `rooms` (none = everybody), without those in `except_`."""

    rooms: tuple[str, ...] = ()
    except_: tuple[str, ...] = ()
    flags: Mapping[str, Any] = {}

    def wire(self, *, flags: bool = False) -> dict[str, Any]:
        """Return the options as the protocol has them; not every message has flags."""
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
    """A request of another server. Which fields are used depends on `type`: see `_READERS` in `decoding`.

    `reply_only_if_present`: the format of old servers, for one socket; only the server that has the socket responds.
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
    """A response of another server. `body` is unchecked: the fields in it depend on the request."""

    request_id: str
    type: int | None
    body: Mapping[str, Any]

    @property
    def client_count(self) -> int:
        """The number of clients that were asked for an ack; raises `MalformedMessage`."""
        count = self.body.get("clientCount")
        if type(count) is not int or count < 0:
            raise MalformedMessage("clientCount is not a count")
        return count

    def items(self, name: str) -> list[Any]:
        """Return the list of that name; raises `MalformedMessage`."""
        items = self.body.get(name)
        if not isinstance(items, list) or len(items) > MAX_ITEMS:
            raise MalformedMessage(f"{name} is not a list, or too long")
        return items


def both_forms(rooms: Collection[str]) -> list[str | int]:
    """Return the rooms as they are sent. To Node, 7 and "7" are two rooms; here rooms are text, so both are sent."""
    forms: list[str | int] = []
    for room in rooms if len(rooms) < 2 else dict.fromkeys(rooms):
        forms.append(room)
        if room[:1] in _NUMBERS_BEGIN and _NUMBER.fullmatch(room):
            forms.append(int(room))
    return forms


def texts(items: Iterable[Any]) -> set[str]:
    """Return the items that are room names; others are skipped, for lists of peers are read leniently."""
    return {str(item) for item in items if isinstance(item, str) or type(item) is int}
