"""Payloads that clients send to /chat: shapes and bounds. Rules that need more than the payload live elsewhere."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct

from rtserver.ingest.room_settings import RoomChanges

Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""A position in a room's history, at most the largest safe integer of JavaScript."""
Limit = Annotated[int, Meta(ge=1, le=100)]
Token = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[^\x00]+\Z")]
UserId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]+\Z")]


class RoomPayload(Struct, frozen=True):
    """`join`, `leave`, `room`."""

    room: str


class ConfigurePayload(RoomChanges, kw_only=True, rename="camel"):
    """`configure`: fields that are left out stay as they are."""

    room: str


class MembersPayload(Struct, frozen=True):
    """`members`: by id. `cursor`: `next` of the previous page."""

    room: str
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    cursor: Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\A[^\x00]+\Z")] | None = None


class Place(Struct, frozen=True, kw_only=True):
    """A room by name, or the direct conversation with a user: exactly one of the two."""

    room: str | None = None
    to: UserId | None = None

    def __post_init__(self) -> None:
        if (self.room is None) == (self.to is None):
            raise ValueError("Give either `room` or `to`")


class MessagePayload(Place, frozen=True, kw_only=True, rename="camel"):
    """`message`."""

    text: str
    nonce: Token | None = None
    reply_to: Token | None = None
    data: Any = None
    mentions: Annotated[list[UserId], Meta(max_length=50)] | None = None


class EditPayload(Place, frozen=True, kw_only=True):
    """`edit`: without `data`, the data stays; null removes it. `rev`: that of the message that the user saw."""

    id: Token
    text: str
    data: Any = UNSET
    mentions: Annotated[list[UserId], Meta(max_length=50)] | None = None
    rev: Seq | None = None


class DeletePayload(Place, frozen=True, kw_only=True):
    """`delete`."""

    id: Token


class ReactPayload(Place, frozen=True, kw_only=True):
    """`react`."""

    id: Token
    emoji: str
    on: bool


class TypingPayload(Place, frozen=True, kw_only=True):
    """`typing`."""

    typing: bool


class ReadPayload(Place, frozen=True, kw_only=True):
    """`read`."""

    seq: Seq


class HistoryPayload(Place, frozen=True, kw_only=True):
    """`history`: the newest messages, or the ones before or after a `seq`."""

    before: Seq | None = None
    after: Seq | None = None
    limit: Limit = 50

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.before is not None and self.after is not None:
            raise ValueError("Give either `before` or `after`")


class Position(Struct, frozen=True):
    """What a client has of a room: its last message (`seq`) and the last change that it received (`rev`)."""

    seq: Seq
    rev: Seq | None = None


class SyncPayload(Struct, frozen=True):
    """`sync`: `limit` is per room. With `join`, the socket joins the rooms again."""

    rooms: Annotated[dict[str, Seq | Position], Meta(max_length=200)]
    limit: Limit = 50
    join: bool = False


class SearchPayload(Struct, frozen=True):
    """`search`: in one room or in all rooms of the user. `cursor`: `next` of the previous page."""

    query: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]+\Z")]
    room: str | None = None
    cursor: Token | None = None
    limit: Limit = 20


class RoomsPayload(Struct, frozen=True):
    """`rooms`: the last active first. `cursor`: `next` of the previous page."""

    cursor: Annotated[str, Meta(min_length=1, max_length=1000, pattern=r"\A[^\x00]+\Z")] | None = None


class OnlinePayload(Struct, frozen=True):
    """`online`: these users, or all members of the user's rooms."""

    users: Annotated[list[UserId], Meta(max_length=1000)] | None = None


LAST_ACTIVE = RoomsPayload()
EVERYBODY_NEAR = OnlinePayload()
