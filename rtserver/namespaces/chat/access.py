"""Access policies of rooms: joining, sending, changing and reading.

policy     may join                      is checked again
open       every user                    never: a user who joined is a member
members    users added by an admin       at their removal: their sockets leave at once
role:x     users whose token has role x  with every event; the token itself is checked when the client connects

A socket enters a room with no await between the last check and the entry (`enter`). A change of the room that comes
later finds the socket inside and takes it out (`room_admin`). So no event of a room reaches a socket without the right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from rtserver.errors import Forbidden, RoomNotJoined
from rtserver.identity import Identity
from rtserver.namespaces.chat.conversation import Conversation, pair_of
from rtserver.namespaces.chat.interfaces import RoomStore
from rtserver.namespaces.chat.settings_cache import RoomSettingsCache
from rtserver.namespaces.identity import identity_of
from rtserver.sio.client.client import Client
from rtserver.store.messages.records import RoomSummary
from rtserver.store.rooms.room_settings import RoomSettings

OPEN, MEMBERS, ROLE = "open", "members", "role:"
ADMIN = "admin"
MODERATORS = frozenset({"moderator", ADMIN})
"""Roles that may change messages of others and the settings of rooms, and that ignore read-only and slow mode."""


class Access:
    """`default`: the policy of rooms without their own. A direct conversation is open to its two users only."""

    def __init__(self, rooms: RoomStore, settings: RoomSettingsCache, default: str = OPEN) -> None:
        self._rooms = rooms
        self._settings = settings
        self._default = default

    def policy_of(self, settings: RoomSettings) -> str:
        """The policy in effect: the own one, or the default."""
        return settings.policy or self._default

    async def policy(self, room: str) -> str:
        """The policy in effect in `room`; raises `Unavailable`."""
        return self.policy_of(await self._settings.get(room))

    async def check_join(self, client: Client, me: Identity, room: str) -> bool:
        """Whether joining makes the user a member; if False, only members may join. Raises `Forbidden`."""
        policy = await self.policy(room)
        if not has_role_for(policy, me):
            raise Forbidden("This room requires a role")
        # Before the membership is stored, which `client.join` comes too late for.
        limit = client.connection.server.limits.max_rooms
        if len(client.rooms) >= limit and room not in client.rooms:
            raise Forbidden(f"A connection may be in {limit} rooms at most")
        return policy != MEMBERS

    async def enter(self, client: Client, room: str) -> None:
        """Put the socket into a room, if its user may be there at this moment. Raises `Forbidden` or `Unavailable`."""
        me = identity_of(client)
        while True:
            changes = self._settings.changes
            policy = await self.policy(room)
            if not has_role_for(policy, me):
                raise Forbidden("This room requires a role")
            if policy == MEMBERS and not await self._rooms.is_member(room, me.user):
                raise Forbidden("Only members may join this room")
            if changes == self._settings.changes:
                await client.join(room)  # does not suspend
                return

    async def check_participate(self, client: Client, where: Conversation) -> None:
        """To react or type, the socket must have joined; direct conversations need no joining.

        Raises `RoomNotJoined` or `Forbidden`.
        """
        if where.partner is not None:
            return
        if where.room not in client.rooms:
            raise RoomNotJoined()
        await self.check_role(client, where.room)

    async def check_write(self, client: Client, where: Conversation) -> int | None:
        """To send or edit a message, after `check_participate`. Returns the seconds of slow mode, or None.

        Raises `Forbidden` in a read-only room.
        """
        if where.partner is not None or identity_of(client).has_any_role(MODERATORS):
            return None
        settings = await self._settings.get(where.room)
        if settings.read_only:
            raise Forbidden("This room is read-only")
        return settings.slow_seconds

    async def check_read(self, client: Client, where: Conversation) -> None:
        """To read, a member need not have joined with this device. Raises `RoomNotJoined` or `Forbidden`."""
        if where.partner is not None:
            return
        me = identity_of(client)
        if where.room not in client.rooms and not await self._rooms.is_member(where.room, me.user):
            raise RoomNotJoined()
        await self.check_role(client, where.room)

    async def check_view(self, client: Client, room: str) -> None:
        """To see the settings of a room, the user must be allowed to join it, or an admin. Raises `Forbidden`."""
        me = identity_of(client)
        if ADMIN in me.roles:
            return
        policy = await self.policy(room)
        inside = policy != MEMBERS or await self._rooms.is_member(room, me.user)
        if not (inside and has_role_for(policy, me)):
            raise Forbidden("Only members may see this room")

    async def check_configure(self, client: Client, room: str) -> None:
        """Admins may configure every room, moderators the rooms that they are in. Raises `Forbidden`."""
        me = identity_of(client)
        if not me.has_any_role(MODERATORS):
            raise Forbidden("Only moderators may configure a room")
        if ADMIN not in me.roles:
            await self.check_read(client, Conversation(room, (room,)))

    async def may_quote(self, room: str) -> bool:
        """Whether a notification may quote messages of the room: not where a role is required.

        A notification is for a user, and whether the user still has the role is known from tokens only.
        """
        return pair_of(room) is not None or not (await self.policy(room)).startswith(ROLE)

    def visible(self, me: Identity, summaries: Iterable[RoomSummary]) -> list[RoomSummary]:
        """The summaries without the rooms whose role the user lacks: a summary shows the last message."""
        effective = ((one, one.policy or self._default) for one in summaries)
        return [replace(one, policy=policy) for one, policy in effective if has_role_for(policy, me)]

    def readable_by(self, me: Identity) -> Callable[[str | None], bool]:
        """A function: may the user read in rooms with this own policy (None: the default one)?"""
        return lambda policy: has_role_for(policy or self._default, me)

    async def check_role(self, client: Client, room: str) -> None:
        """Raise `Forbidden` without the role of the room; the socket then leaves the room and receives nothing more."""
        if not has_role_for(await self.policy(room), identity_of(client)):
            if room in client.rooms:
                await client.leave(room)
            raise Forbidden("This room requires a role")


def has_role_for(policy: str, me: Identity) -> bool:
    """Whether the policy requires no role, or one that the user has."""
    return not policy.startswith(ROLE) or policy.removeprefix(ROLE) in me.roles
