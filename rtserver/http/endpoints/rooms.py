"""Room administration: settings and members."""

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
    """Changes rooms in the database and announces it to clients on every server. `by` is for the audit log."""

    async def describe(self, room: str) -> RoomSettings:
        """Return the settings of a room; raises `NotFound`."""
        ...

    async def configure(self, room: str, changes: Mapping[str, Any], by: str) -> RoomSettings:
        """Change settings of a room, which is made where there is none; return all of them."""
        ...

    async def add(self, room: str, members: Sequence[Member], by: str) -> list[str]:
        """Add members; return the ids of those that were none before."""
        ...

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """Remove members; return the ids of those that were members."""
        ...

    async def members(self, room: str, *, after: str, limit: int) -> tuple[list[Member], str | None]:
        """Return a page of members by id, and the cursor of the next one; raises `NotFound`."""
        ...


class RoomBody(RoomChanges, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Omitted fields stay as they are; null resets to the default."""


class NewMember(Struct, forbid_unknown_fields=True):
    """`name`: shown until the user joins with the name of a token; the id if omitted."""

    id: UserId
    name: DisplayName | None = None


class MembersBody(Struct, forbid_unknown_fields=True):
    members: Annotated[list[NewMember], Meta(min_length=1, max_length=MAX_MEMBERS)]


class MemberBody(Struct, forbid_unknown_fields=True):
    """May be `{}`."""

    name: DisplayName | None = None


class MembersQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[UserId, Meta(description="The `next` of the page before")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_MEMBERS)] = 200


class RemovedQuery(Struct, forbid_unknown_fields=True):
    user: Annotated[list[UserId], Meta(min_length=1, max_length=MAX_REMOVED, description="The members to remove")]


class RoomAnswer(OkResponse, kw_only=True):
    room: RoomSettings


class MembersAnswer(OkResponse, kw_only=True):
    """By id; `next` is the cursor of the following page, null on the last one."""

    members: list[Member]
    next: str | None


class AddedAnswer(OkResponse, kw_only=True):
    """The users that were not members before."""

    added: list[str]


class RemovedAnswer(OkResponse, kw_only=True):
    """The users that were members."""

    removed: list[str]


class RoomsApi:
    """The operations on one room."""

    def __init__(self, rooms: RoomManager) -> None:
        self._rooms = rooms

    @operation("GET", "/api/rooms/{room}", summary="Read the settings of a room", tag="rooms", errors=[NotFound])
    async def room(self, path: RoomPath) -> RoomAnswer:
        """`firstSeq` is the oldest message that is kept, `lastSeq` the newest; `rev` counts changes of messages."""
        return RoomAnswer(room=await self._rooms.describe(path.room))

    @operation("PATCH", "/api/rooms/{room}", summary="Change the settings of a room", tag="rooms")
    async def configure_room(self, path: RoomPath, body: RoomBody, caller: Caller) -> RoomAnswer:
        """Creates the room if there is none. All clients in it get `roomChanged`."""
        return RoomAnswer(room=await self._rooms.configure(path.room, body.changes, caller.name))

    @operation("GET", "/api/rooms/{room}/members", summary="List the members of a room", tag="rooms", errors=[NotFound])
    async def room_members(self, path: RoomPath, query: MembersQuery) -> MembersAnswer:
        """In pages, by id: members that come or go meanwhile do not shift others to another page."""
        members, following = await self._rooms.members(path.room, after=query.cursor or "", limit=query.limit)
        return MembersAnswer(members=members, next=following)

    @operation("POST", "/api/rooms/{room}/members", summary="Add members to a room", tag="rooms")
    async def add_members(self, path: RoomPath, body: MembersBody, caller: Caller) -> AddedAnswer:
        """Creates the room if there is none. The room and the devices of the new members get `joined`."""
        members = [Member(each.id, each.name or each.id) for each in body.members]
        return AddedAnswer(added=await self._rooms.add(path.room, members, caller.name))

    @operation("DELETE", "/api/rooms/{room}/members", summary="Remove members from a room", tag="rooms")
    async def remove_members(self, path: RoomPath, query: RemovedQuery, caller: Caller) -> RemovedAnswer:
        """Repeat `user` for each. Their devices leave the room at once and get `left`, as does the room."""
        return RemovedAnswer(removed=await self._rooms.remove(path.room, query.user, caller.name))

    @operation("PUT", "/api/rooms/{room}/members/{user}", summary="Add a member to a room", tag="rooms")
    async def put_member(self, path: MemberPath, body: MemberBody, caller: Caller) -> AddedAnswer:
        """As `POST /api/rooms/{room}/members`, for one user."""
        member = Member(path.user, body.name or path.user)
        return AddedAnswer(added=await self._rooms.add(path.room, [member], caller.name))

    @operation("DELETE", "/api/rooms/{room}/members/{user}", summary="Remove a member from a room", tag="rooms")
    async def remove_member(self, path: MemberPath, caller: Caller) -> RemovedAnswer:
        """Has no effect where the user is no member."""
        return RemovedAnswer(removed=await self._rooms.remove(path.room, [path.user], caller.name))
