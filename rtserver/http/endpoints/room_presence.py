"""Room presence: the users with a connected device in a room, as opposed to its members."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta, Struct

from rtserver.http.api.operations import operation
from rtserver.http.api.structs import OkResponse, RoomPath, UserId
from rtserver.sio.broadcast.room_presence import MOST, Occupants

NAMESPACE = "/chat"


class RoomPresence(Protocol):
    """The users present in rooms, of the whole cluster."""

    async def page(self, namespace: str, room: str, after: str | None, limit: int) -> Occupants:
        """Return at most `limit` users of a room by id, beginning after the id `after`."""
        ...


class RoomPresenceQuery(Struct, forbid_unknown_fields=True):
    cursor: Annotated[UserId, Meta(description="The `next` of the page before")] | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 200


class PresentUser(Struct):
    """`devices`: how many are in the room; `instances`: the same by instance."""

    id: str
    devices: int
    instances: dict[str, int]


class RoomPresenceAnswer(OkResponse, kw_only=True):
    """By id; `next` is the cursor of the following page, null on the last one. `partial`: a server did not answer, so
    the list may be incomplete."""

    users: list[PresentUser]
    next: str | None
    partial: bool


class RoomPresenceApi:
    """The presence of a room."""

    def __init__(self, occupancy: RoomPresence) -> None:
        self._occupancy = occupancy

    @operation("GET", "/api/rooms/{room}/presence", summary="List users present in a room", tag="rooms")
    async def room_presence(self, path: RoomPath, query: RoomPresenceQuery) -> RoomPresenceAnswer:
        """Users with a device in the room, also when they are no longer members. The list is empty for direct
        conversations and for rooms that do not exist."""
        found = await self._occupancy.page(NAMESPACE, path.room, query.cursor, query.limit)
        users = [PresentUser(one.user, one.devices, dict(one.instances)) for one in found]
        return RoomPresenceAnswer(users=users, next=found.next, partial=found.partial)
