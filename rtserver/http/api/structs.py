"""Path parameters and response bodies that several operations share.

Clients percent-encode path parameters: a room name may contain a slash.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

_PLAIN = r"^[^\x00]+$"

RoomName = Annotated[str, Meta(min_length=1, max_length=1000, pattern=_PLAIN, description="The name of a room")]
UserId = Annotated[str, Meta(min_length=1, max_length=200, pattern=_PLAIN, description="The id of a user")]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]
Limit = Annotated[int, Meta(ge=1, le=100)]


class RoomPath(Struct, forbid_unknown_fields=True):
    room: RoomName


class UserPath(Struct, forbid_unknown_fields=True):
    user: UserId


class MemberPath(Struct, forbid_unknown_fields=True):
    room: RoomName
    user: UserId


Ok = Annotated[bool, Meta(extra_json_schema={"const": True})]


class OkResponse(Struct, rename="camel"):
    """The request was executed."""

    # Subclasses are `kw_only`, so that `ok` stands first.
    ok: Ok = True
