"""Joining and leaving: the member of the store, the socket in the room, and what the others are told."""

from __future__ import annotations

import asyncio
from typing import Any

from rtserver.errors import Forbidden
from rtserver.identity import Identity, user_room
from rtserver.namespaces.chat.access import Access
from rtserver.namespaces.chat.interfaces import MembershipStore, RoomStore
from rtserver.namespaces.chat.presence import Online, partial_field
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Member

MEMBERS = 200
"""Members in the ack of `join`: a room may have any number."""


class Membership:
    def __init__(
        self, namespace: Namespace, rooms: RoomStore, memberships: MembershipStore, access: Access, online: Online
    ) -> None:
        self._namespace = namespace
        self._rooms = rooms
        self._memberships = memberships
        self._access = access
        self._online = online

    async def join(self, client: Client, me: Identity, room: str) -> None:
        """A durable member, and a socket that receives what the room gets from now on."""
        member = Member(id=me.user, name=me.display_name)
        if await self._access.check_join(client, me, room):
            new = await self._rooms.join(room, member)
            await client.join(room)
        else:
            new = False
            await self._enter(client, room, member)
        # A change of the policy put out who was in the room by then.
        await self._access.check_role(client, room)
        if new:
            await self._broadcast(client, me, "joined", room)

    async def _enter(self, client: Client, room: str, member: Member) -> None:
        """Where only members may be. Asked again afterwards: whoever is taken out meanwhile must not slip in."""
        if await self._memberships.rename(room, member):
            await client.join(room)
            if await self._rooms.is_member(room, member.id):
                return
            await client.leave(room)
        raise Forbidden("Only members may join this room")

    async def leave(self, client: Client, me: Identity, room: str) -> None:
        """The user leaves with every device; a device that hears of it is out already."""
        was_member = await self._rooms.leave(room, me.user)
        await client.leave(room)
        await self._namespace.in_(user_room(me.user)).sockets_leave(room)
        if was_member:
            await self._broadcast(client, me, "left", room)

    async def _broadcast(self, client: Client, me: Identity, event: str, room: str) -> None:
        """The room, and the user's own other devices, which list their rooms whether in them or not."""
        others = self._namespace.to(room, user_room(me.user)).except_(client.id)
        await others.emit(event, {"room": room, "user": me.user})

    async def members(
        self, room: str, me: Identity, *, limit: int = MEMBERS, after: str | None = None
    ) -> dict[str, Any]:
        """A page of the members of `room`, as `{id, name, online, here}` by id, and how many there are in all."""
        found = await self._rooms.members(room, after=after or "", limit=limit + 1)
        page = found[:limit]
        whole = after is None and len(found) <= limit
        ids = [member.id for member in page]
        online, occupants = await asyncio.gather(
            self._online.known_online(ids), self._namespace.occupants(room, users=ids)
        )
        here = {occupant.user for occupant in occupants}
        return {
            "members": [
                {
                    "id": member.id,
                    "name": member.name,
                    "online": member.id in online or member.id == me.user or member.id in here,
                    "here": member.id in here,
                }
                for member in page
            ],
            "count": len(page) if whole else await self._rooms.count_members(room),
            "next": page[-1].id if len(found) > limit else None,
            **partial_field(online, occupants),
        }
