"""Joining and leaving: the stored membership, the socket in the room, and the broadcasts."""

from __future__ import annotations

import asyncio
from typing import Any

from rtserver.answer_size import ANSWER_BYTES, fitting
from rtserver.identity import Identity, user_room
from rtserver.namespaces.chat.access import MEMBERS as MEMBERS_ONLY
from rtserver.namespaces.chat.access import Access
from rtserver.namespaces.chat.interfaces import MembershipStore, RoomStore
from rtserver.namespaces.chat.presence import Online, partial_field
from rtserver.namespaces.identity import check_not_expelled
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Member

MEMBERS = 200
"""Members in the ack of `join`; a room may have more."""


class Membership:
    """Members of rooms as the events of /chat change and list them."""

    def __init__(
        self, namespace: Namespace, rooms: RoomStore, memberships: MembershipStore, access: Access, online: Online
    ) -> None:
        self._namespace = namespace
        self._rooms = rooms
        self._memberships = memberships
        self._access = access
        self._online = online

    async def join(self, client: Client, me: Identity, room: str) -> None:
        """Make the user a member and put the socket into the room. Raises `Forbidden` or `Unavailable`."""
        member = Member(id=me.user, name=me.display_name)
        makes_member = await self._access.check_join(client, me, room)
        check_not_expelled(client)
        new = False
        if makes_member:
            new = await self._rooms.join(room, member)
            if new and await self._access.policy(room) == MEMBERS_ONLY:  # since a moment ago
                await self._rooms.leave(room, me.user)
        else:
            await self._memberships.rename(room, member)
        await self._access.enter(client, room)  # checks again: the room or the membership may have changed meanwhile
        if new:
            await self._broadcast(client, me, "joined", room)

    async def leave(self, client: Client, me: Identity, room: str) -> None:
        """End the membership and take all devices of the user out; then broadcast `left`."""
        check_not_expelled(client)
        was_member = await self._rooms.leave(room, me.user)
        await client.leave(room)
        await self._namespace.in_(user_room(me.user)).sockets_leave(room)
        if was_member:
            await self._broadcast(client, me, "left", room)

    async def _broadcast(self, client: Client, me: Identity, event: str, room: str) -> None:
        """To the room and to the user's other devices, which list their rooms even without having joined."""
        others = self._namespace.to(room, user_room(me.user)).except_(client.id)
        await others.emit(event, {"room": room, "user": me.user})

    async def members(
        self, room: str, me: Identity, *, limit: int = MEMBERS, after: str | None = None
    ) -> dict[str, Any]:
        """`{members: [{id, name, online, here}, …], count, next, partial?}`: a page by id, and the total count.

        `here`: the user has a socket in the room. Raises `Unavailable`.
        """
        found = await self._rooms.members(room, after=after or "", limit=limit + 1)
        page = fitting(found[:limit], ANSWER_BYTES // 2)  # an answer says more of each
        whole = after is None and len(page) == len(found)
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
            "next": page[-1].id if len(found) > len(page) else None,
            **partial_field(online, occupants),
        }
