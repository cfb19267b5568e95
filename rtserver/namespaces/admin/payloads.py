"""Payloads that clients send to /admin."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from rtserver.protocol.packets import RESERVED_EVENTS
from rtserver.store.messages.records import Member

Name = Annotated[str, Meta(min_length=1, max_length=1000)]
UserId = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\A[^\x00]+\Z")]


class ClientsPayload(Struct, frozen=True):
    """`clients`: those that match all given fields, by id. `cursor`: `next` of the previous page."""

    namespace: Name | None = None
    room: Name | None = None
    user: Name | None = None
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Name | None = None


class RoomsPayload(Struct, frozen=True):
    """`rooms`: by name. `cursor`: `next` of the previous page."""

    namespace: Name
    limit: Annotated[int, Meta(ge=1, le=1000)] = 1000
    cursor: Name | None = None


class InstancesPayload(Struct, frozen=True):
    """`instances`: `{}` or no payload."""


class PresencePayload(Struct, frozen=True):
    """`presence`: of these users."""

    users: Annotated[list[Name], Meta(min_length=1, max_length=100)]


class KickPayload(Struct, frozen=True):
    """`kick`: one socket's connection, or all of a user's."""

    user: Name | None = None
    sid: Name | None = None
    reason: Annotated[str, Meta(max_length=500)] | None = None

    def __post_init__(self) -> None:
        if (self.user is None) == (self.sid is None):
            raise ValueError("Give either `user` or `sid`")


class AnnouncePayload(Struct, frozen=True):
    """`announce`: an event for all clients in these namespaces."""

    namespaces: Annotated[list[Name], Meta(min_length=1, max_length=100)]
    event: Annotated[str, Meta(min_length=1, max_length=200)]
    data: Any = None

    def __post_init__(self) -> None:
        if self.event in RESERVED_EVENTS:
            raise ValueError(f'"{self.event}" is a reserved event name')


class MemberGiven(Struct, frozen=True):
    """A user with a name; the id is used where no name is given."""

    id: UserId
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class AddMembersPayload(Struct, frozen=True):
    """`addMembers`: ids, or ids with names."""

    room: Name
    users: Annotated[list[UserId | MemberGiven], Meta(min_length=1, max_length=1000)]

    @property
    def members(self) -> list[Member]:
        given = (MemberGiven(user) if isinstance(user, str) else user for user in self.users)
        return [Member(user.id, user.name or user.id) for user in given]


class RemoveMembersPayload(Struct, frozen=True):
    """`removeMembers`."""

    room: Name
    users: Annotated[list[UserId], Meta(min_length=1, max_length=1000)]


class ListMembersPayload(Struct, frozen=True):
    """`members`: by id. `cursor`: `next` of the previous page."""

    room: Name
    limit: Annotated[int, Meta(ge=1, le=1000)] = 200
    cursor: UserId | None = None


ALL_CLIENTS = ClientsPayload()
NOTHING = InstancesPayload()
