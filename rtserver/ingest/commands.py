"""Requests of backends, in one format for every source: HTTP bodies, broker entries, scheduled items.

Owns the schemas. Does not know the source of a request, nor what executes it. Unknown fields are rejected: `room` in
place of `rooms` must not become a broadcast to everybody.

    kind            body
    notification    NotifyRequest
    message         MessageRequest
    emit            EmitRequest
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rtserver.errors import TooLarge
from rtserver.identity import user_room
from rtserver.protocol import json
from rtserver.protocol.packets import RESERVED_EVENTS

MAX_DATA_BYTES = 16_384
"""Of `data`, as JSON."""
MAX_TEXT = 100_000

# No NUL: Postgres cannot store it.
Name = Annotated[str, Meta(max_length=200, pattern=r"^[^\x00]+$")]
Text = Annotated[str, Meta(min_length=1, max_length=10_000)]
MessageText = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
Names = Annotated[list[Name], Meta(min_length=1, max_length=1000)]
Moment = Annotated[int | str, Meta(description="ISO-8601 with a time zone, or milliseconds since the epoch")]

# The year 2001 in milliseconds; the year 33658 in seconds. So a number in seconds is recognized and rejected.
_EARLIEST = 10**12
_LATEST = 2**53


class EmitTarget(msgspec.Struct, frozen=True):
    """Where an event goes: the members of any of `rooms` (none: everybody in the namespace), except the members of
    `except_`."""

    namespace: str
    rooms: Sequence[str] = ()
    except_: Sequence[str] = ()


class EmitRequest(msgspec.Struct, forbid_unknown_fields=True):
    """`rooms` and `users` add up; without either everybody is addressed. `data` is short for one argument."""

    namespace: Annotated[str, Meta(pattern="^/", max_length=200)]
    event: Name
    rooms: Names | None = None
    users: Names | None = None
    except_: Names | None = msgspec.field(default=None, name="except")
    args: list[Any] | UnsetType = UNSET
    data: Any = UNSET
    volatile: bool = False
    key: Name | None = None
    at: Moment | None = None

    def __post_init__(self) -> None:
        _check_moment("at", self.at)
        if self.event in RESERVED_EVENTS:
            raise ValueError(f"The event name `{self.event}` is reserved")
        if self.args is not UNSET:
            if self.data is None:
                self.data = UNSET  # a field that was left out; alone, null is an argument
            if self.data is not UNSET:
                raise ValueError("Give `args` or `data`, not both")

    @property
    def arguments(self) -> list[Any]:
        """The arguments of the event."""
        if self.args is not UNSET:
            return self.args
        return [] if self.data is UNSET else [self.data]

    @property
    def target(self) -> EmitTarget:
        rooms = [*(self.rooms or ()), *map(user_room, self.users or ())]
        return EmitTarget(self.namespace, rooms, self.except_ or ())


class NotifyRequest(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """For `user`, for each of `users`, for `everyone`, or for the members of `room`; `key` makes a retry harmless.

    With `user` or `users` as well, `room` is only what the notification is about.
    """

    type: Name
    message: Text
    user: Name | None = None
    users: Names | None = None
    room: Name | None = None
    everyone: bool = False
    data: Any = None
    key: Name | None = None
    group_key: Name | None = None
    expires_at: Moment | None = None
    at: Moment | None = None

    def __post_init__(self) -> None:
        _check_moment("at", self.at)
        _check_moment("expiresAt", self.expires_at)
        _check_text("message", self.message)
        named = (self.user is not None) + (self.users is not None)
        if named + self.everyone > 1 or not (named or self.everyone or self.room is not None):
            raise ValueError("Give either `user` or `users`, or `room` for its members, or `everyone`")
        _check_data(self.data)

    @property
    def named_users(self) -> list[str] | None:
        """The users, each once; None where the request is for a room or for everyone."""
        if self.user is not None:
            return [self.user]
        return None if self.users is None else list(dict.fromkeys(self.users))


class MessageAuthor(msgspec.Struct, forbid_unknown_fields=True):
    """The author of a message; `name` is displayed, the id where it is missing."""

    id: Name
    name: Name | None = None


class MessageRequest(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """A chat message into `room`, or to the user `to`; `key` (its nonce) makes a retry harmless."""

    text: MessageText
    from_: MessageAuthor = msgspec.field(name="from")
    room: Name | None = None
    to: Name | None = None
    data: Any = None
    reply_to: Name | None = None
    mentions: Names | None = None
    key: Name | None = None
    at: Moment | None = None

    def __post_init__(self) -> None:
        _check_moment("at", self.at)
        _check_text("text", self.text)
        if (self.room is None) == (self.to is None):
            raise ValueError("Give either `room` or `to`")
        _check_data(self.data)


Request = EmitRequest | NotifyRequest | MessageRequest

SHAPES: dict[str, type[Request]] = {
    "notification": NotifyRequest,
    "message": MessageRequest,
    "emit": EmitRequest,
}


def moment_ms(value: int | str) -> int:
    """Convert to milliseconds since the epoch; raises `ValueError`."""
    if isinstance(value, str):
        return _parsed(value)
    if not _EARLIEST <= value <= _LATEST:
        raise ValueError("a number is milliseconds since the epoch")
    return value


def _parsed(text: str) -> int:
    if len(text) > 40:
        raise ValueError("not an ISO-8601 time")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("not an ISO-8601 time") from None
    if moment.tzinfo is None:
        raise ValueError("the time has no zone; end it with Z or +01:00")
    return int(moment.timestamp() * 1000)


def _check_moment(name: str, value: int | str | None) -> None:
    if value is None:
        return
    try:
        moment_ms(value)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"`{name}`: {error}") from None


def _check_text(name: str, text: str) -> None:
    """Reject NUL. Not by a pattern in the schema: tools that generate texts from one would take too long."""
    if "\0" in text:
        raise ValueError(f"`{name}` must not contain NUL")


def _check_data(data: Any) -> None:
    if data is not None and len(json.dumps(data)) > MAX_DATA_BYTES:
        raise TooLarge(f"`data` is larger than {MAX_DATA_BYTES} bytes")
