"""Who may be where: joining, sending and reading."""

from __future__ import annotations

from typing import Literal

from rtserver.errors import Forbidden, RoomNotJoined
from rtserver.identity import Identity
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.namespaces.chat.ports import RoomStore
from rtserver.namespaces.identified import identity_of
from rtserver.sio.client import Client

RoomPolicy = Literal["open", "members"]
MAX_ROOMS = 1000
"""Rooms that one socket may be in: what it can make the server remember is bounded."""


class Access:
    """`open`: whoever joins is a member; `members`: only who was made one by others may join."""

    def __init__(self, rooms: RoomStore, policy: RoomPolicy) -> None:
        self._rooms = rooms
        self._policy = policy

    async def check_join(self, client: Client, me: Identity, room: str) -> None:
        if self._policy == "members" and not await self._rooms.is_member(room, me.user):
            raise Forbidden("Only members may join this room")
        if len(client.rooms) >= MAX_ROOMS and room not in client.rooms:
            raise Forbidden(f"A connection may be in {MAX_ROOMS} rooms at most")

    def check_send(self, client: Client, where: Conversation) -> None:
        """A socket sends where it has joined; direct conversations need no joining."""
        if where.partner is None and where.room not in client.rooms:
            raise RoomNotJoined()

    async def check_read(self, client: Client, where: Conversation) -> None:
        """Every device of a member may read, before it joins too."""
        if where.partner is not None or where.room in client.rooms:
            return
        if not await self._rooms.is_member(where.room, identity_of(client).user):
            raise RoomNotJoined()
