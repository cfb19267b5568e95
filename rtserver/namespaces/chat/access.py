"""Who may be where: joining, sending, changing and reading.

policy     may join                      is asked again
open       everybody                     never: whoever joined is a member
members    who was put in by others      when they are taken out: their sockets leave at once
role:x     whose token has the role x    with every event; a token is looked at when a client connects
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from rtserver.errors import Forbidden, RoomNotJoined
from rtserver.identity import Identity
from rtserver.namespaces.chat.conversation import Conversation
from rtserver.namespaces.chat.interfaces import RoomStore
from rtserver.namespaces.chat.settings_cache import RoomSettingsCache
from rtserver.namespaces.identity import identity_of
from rtserver.sio.client.client import Client
from rtserver.store.messages.records import RoomSummary
from rtserver.store.rooms.room_settings import RoomSettings

OPEN, MEMBERS, ROLE = "open", "members", "role:"
ADMIN = "admin"
MODERATORS = frozenset({"moderator", ADMIN})
"""Roles that may change what others wrote and what rooms are set to; read-only and slow rooms do not bind them."""
MAX_ROOMS = 1000
"""Rooms that one socket may be in: what it can make the server remember is bounded."""


class Access:
    """`default`: the policy of rooms that have none of their own. Direct conversations have no rules but their two."""

    def __init__(self, rooms: RoomStore, settings: RoomSettingsCache, default: str = OPEN) -> None:
        self._rooms = rooms
        self._settings = settings
        self._default = default

    def policy_of(self, settings: RoomSettings) -> str:
        return settings.policy or self._default

    async def policy(self, room: str) -> str:
        return self.policy_of(await self._settings.get(room))

    async def check_join(self, client: Client, me: Identity, room: str) -> bool:
        """Whether joining makes a member; where it does not, only a member may go on."""
        policy = await self.policy(room)
        if not has_role_for(policy, me):
            raise Forbidden("This room asks for a role")
        if len(client.rooms) >= MAX_ROOMS and room not in client.rooms:
            raise Forbidden(f"A connection may be in {MAX_ROOMS} rooms at most")
        return policy != MEMBERS

    async def check_participate(self, client: Client, where: Conversation) -> None:
        """To take part (react, type) the socket must have joined; direct conversations need no joining."""
        if where.partner is not None:
            return
        if where.room not in client.rooms:
            raise RoomNotJoined()
        await self.check_role(client, where.room)

    async def check_write(self, client: Client, where: Conversation) -> int | None:
        """After `check_participate`, to send or edit a message; gives the seconds to keep between two, if any."""
        if where.partner is not None or identity_of(client).has_any_role(MODERATORS):
            return None
        settings = await self._settings.get(where.room)
        if settings.read_only:
            raise Forbidden("This room is read-only")
        return settings.slow_seconds

    async def check_read(self, client: Client, where: Conversation) -> None:
        """Every device of a member may read, before it joins too."""
        if where.partner is not None:
            return
        me = identity_of(client)
        if where.room not in client.rooms and not await self._rooms.is_member(where.room, me.user):
            raise RoomNotJoined()
        await self.check_role(client, where.room)

    async def check_view(self, client: Client, room: str) -> None:
        """To see what a room is set to: whoever may join it."""
        me = identity_of(client)
        policy = await self.policy(room)
        inside = policy != MEMBERS or await self._rooms.is_member(room, me.user)
        if not me.has_any_role(MODERATORS) and not (inside and has_role_for(policy, me)):
            raise Forbidden("Only members may look at this room")

    async def check_configure(self, client: Client, room: str) -> None:
        """Admins may set every room, moderators those that they are in."""
        me = identity_of(client)
        if not me.has_any_role(MODERATORS):
            raise Forbidden("Only moderators may set a room")
        if ADMIN not in me.roles:
            await self.check_read(client, Conversation(room, (room,)))

    def visible(self, me: Identity, summaries: Iterable[RoomSummary]) -> list[RoomSummary]:
        """Without the rooms whose role is missing: a summary shows their last message."""
        effective = ((one, one.policy or self._default) for one in summaries)
        return [replace(one, policy=policy) for one, policy in effective if has_role_for(policy, me)]

    def readable_by(self, me: Identity) -> Callable[[str | None], bool]:
        """Whether a member may read in rooms of that policy of their own."""
        return lambda policy: has_role_for(policy or self._default, me)

    async def check_role(self, client: Client, room: str) -> None:
        """Who lacks the role gets nothing more from the room either."""
        if not has_role_for(await self.policy(room), identity_of(client)):
            if room in client.rooms:
                await client.leave(room)
            raise Forbidden("This room asks for a role")


def has_role_for(policy: str, me: Identity) -> bool:
    return not policy.startswith(ROLE) or policy.removeprefix(ROLE) in me.roles
