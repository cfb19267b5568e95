"""What a backend may set rooms to, and whom it may put into them and take out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from msgspec import Meta, Struct

from rtserver.errors import NotFound
from rtserver.http.api.credentials import Caller
from rtserver.http.api.operations import operation
from rtserver.http.api.structs import MemberPath, OkResponse, RoomPath, UserId
from rtserver.ingest.room_settings import RoomChanges
from rtserver.store.messages.records import Member
from rtserver.store.rooms.room_settings import RoomSettings

MAX_MEMBERS = 1000
"""Members in one request, and in one page."""
MAX_REMOVED = 30

DisplayName = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]


class RoomManager(Protocol):
    """Changes rooms in the database and tells whom it concerns, on every server. `by` is for the audit."""

    async def describe(self, room: str) -> RoomSettings:
        """Raises `NotFound`."""
        ...

    async def configure(self, room: str, changes: Mapping[str, Any], by: str) -> RoomSettings: ...

    async def add(self, room: str, members: Sequence[Member], by: str) -> list[str]:
        """The ids of the new ones."""
        ...

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """The ids of those that were members."""
        ...

    async def members(self, room: str, *, after: str, limit: int) -> tuple[list[Member], str | None]:
        """By id, and the cursor of the next page; raises `NotFound`."""
        ...


class RoomBody(RoomChanges, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is left out stays as it is; null is the default."""


class NewMember(Struct, forbid_unknown_fields=True):
    """`name`: what people read until the user joins with a name of the token's; the id if it is left out."""

    id: UserId
    name: DisplayName | None = None


class MembersBody(Struct, forbid_unknown_fields=True):
    members: Annotated[list[NewMember], Meta(min_length=1, max_length=MAX_MEMBERS)]


class MemberBody(Struct, forbid_unknown_fields=True):
    """`{}` will do."""

    name: DisplayName | None = None


class MembersQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[UserId, Meta(description="The `next` of the page before")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_MEMBERS)] = 200


class RemovedQuery(Struct, forbid_unknown_fields=True):
    user: Annotated[list[UserId], Meta(min_length=1, max_length=MAX_REMOVED, description="Whom to take out")]


class RoomAnswer(OkResponse, kw_only=True):
    room: RoomSettings


class MembersAnswer(OkResponse, kw_only=True):
    """By id; `next` is the cursor of the following page, null on the last one."""

    members: list[Member]
    next: str | None


class AddedAnswer(OkResponse, kw_only=True):
    """Those that were not members before."""

    added: list[str]


class RemovedAnswer(OkResponse, kw_only=True):
    """Those that were members."""

    removed: list[str]


class RoomsApi:
    def __init__(self, keeping: RoomManager) -> None:
        self._keeping = keeping

    @operation("GET", "/api/rooms/{room}", summary="Read what a room is set to", tag="rooms", errors=[NotFound])
    async def room(self, path: RoomPath) -> RoomAnswer:
        """`firstSeq` is the oldest message that is kept, `lastSeq` the newest; `rev` counts changes of messages."""
        return RoomAnswer(room=await self._keeping.describe(path.room))

    @operation("PATCH", "/api/rooms/{room}", summary="Set a room", tag="rooms")
    async def configure_room(self, path: RoomPath, body: RoomBody, caller: Caller) -> RoomAnswer:
        """Makes the room where there is none. Everybody in it gets `roomChanged`."""
        return RoomAnswer(room=await self._keeping.configure(path.room, body.changes, caller.name))

    @operation("GET", "/api/rooms/{room}/members", summary="List the members of a room", tag="rooms", errors=[NotFound])
    async def room_members(self, path: RoomPath, query: MembersQuery) -> MembersAnswer:
        """In pages, by id: who comes or goes meanwhile moves no one to another page."""
        members, following = await self._keeping.members(path.room, after=query.cursor or "", limit=query.limit)
        return MembersAnswer(members=members, next=following)

    @operation("POST", "/api/rooms/{room}/members", summary="Put users into a room", tag="rooms")
    async def add_members(self, path: RoomPath, body: MembersBody, caller: Caller) -> AddedAnswer:
        """Makes the room where there is none. The room and the devices of the new members get `joined`."""
        members = [Member(each.id, each.name or each.id) for each in body.members]
        return AddedAnswer(added=await self._keeping.add(path.room, members, caller.name))

    @operation("DELETE", "/api/rooms/{room}/members", summary="Take users out of a room", tag="rooms")
    async def remove_members(self, path: RoomPath, query: RemovedQuery, caller: Caller) -> RemovedAnswer:
        """Repeat `user` for each. Their devices are out of the room at once, and get `left`, as the room does."""
        return RemovedAnswer(removed=await self._keeping.remove(path.room, query.user, caller.name))

    @operation("PUT", "/api/rooms/{room}/members/{user}", summary="Put a user into a room", tag="rooms")
    async def put_member(self, path: MemberPath, body: MemberBody, caller: Caller) -> AddedAnswer:
        member = Member(path.user, body.name or path.user)
        return AddedAnswer(added=await self._keeping.add(path.room, [member], caller.name))

    @operation("DELETE", "/api/rooms/{room}/members/{user}", summary="Take a user out of a room", tag="rooms")
    async def remove_member(self, path: MemberPath, caller: Caller) -> RemovedAnswer:
        """Nothing happens where the user is no member."""
        return RemovedAnswer(removed=await self._keeping.remove(path.room, [path.user], caller.name))
