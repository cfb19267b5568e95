"""Room administration: settings and members of rooms, changed by backends, admins and moderators.

1. The order of a change: the database, the other servers and the sockets, the broadcasts, the watchers.
2. The caller checks whether the change is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec import to_builtins
from msgspec.structs import replace

from rtserver.answer_size import fitting
from rtserver.errors import NotFound
from rtserver.identity import user_room
from rtserver.namespaces.chat.access import MEMBERS, Access, has_role_for
from rtserver.namespaces.chat.conversation import RESERVED_PREFIXES, room_conversation
from rtserver.namespaces.chat.interfaces import MembershipStore, RoomSettingsStore, RoomStore
from rtserver.namespaces.chat.settings_cache import RoomSettingsCache
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Member
from rtserver.store.rooms.room_settings import RoomSettings

CHANGED = "roomSettings"
"""The event between servers; arguments: the room, and whether its policy changed."""
CHUNK = 50
"""Users addressed by one message between servers; the event loop runs other work between two chunks."""

Watcher = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]


class RoomAdmin:
    """`watchers` are called after each change, with the action, the acting user and the details."""

    def __init__(
        self,
        namespace: Namespace,
        settings: RoomSettingsStore,
        memberships: MembershipStore,
        rooms: RoomStore,
        cache: RoomSettingsCache,
        access: Access,
    ) -> None:
        self._namespace = namespace
        self._settings = settings
        self._memberships = memberships
        self._rooms = rooms
        self._settings_cache = cache
        self._access = access
        self.watchers: list[Watcher] = []

    async def describe(self, room: str) -> RoomSettings:
        """The settings of a room, with the policy in effect; raises `NotFound`."""
        settings = await self._settings.find(room_conversation(room).room)
        if settings is None:
            raise NotFound("There is no such room")
        return self._with_policy(settings)

    async def configure(self, room: str, changes: Mapping[str, Any], by: str, *, except_sid: str = "") -> RoomSettings:
        """Change settings and create the room if needed. `roomChanged` goes to all its sockets but `except_sid`."""
        settings, changed = await self._settings.change(room_conversation(room).room, changes, by)
        shown = self._with_policy(settings)
        if changed:
            policy = "policy" in changed
            await self._namespace.server_side_emit(CHANGED, room, policy)
            await self.on_room_changed(room, policy)
            await self._namespace.to(room).except_(except_sid).emit("roomChanged", to_builtins(shown))
            await self._notify_watchers("configure", by, room=room, changed=changed)
        return shown

    async def add(self, room: str, members: Sequence[Member], by: str) -> list[str]:
        """Make users members and return the ids of the new ones. `joined` goes to the room and to their devices."""
        added = await self._memberships.add(room_conversation(room).room, members, by)
        await self._announce("joined", room, added)
        if added:
            await self._notify_watchers("addMembers", by, room=room, users=added)
        return added

    async def remove(self, room: str, users: Sequence[str], by: str) -> list[str]:
        """End memberships and take the sockets out on every server; returns the ids of those that were members."""
        removed = await self._memberships.remove(room_conversation(room).room, users, by)
        # All given users: a socket may be in the room although its membership has ended.
        for chunk in _chunks(dict.fromkeys(users)):
            await self._namespace.in_(*map(user_room, chunk)).sockets_leave(room)
        await self._announce("left", room, removed)
        if removed:
            await self._notify_watchers("removeMembers", by, room=room, users=removed)
        return removed

    async def members(self, room: str, *, after: str, limit: int) -> tuple[list[Member], str | None]:
        """A page by id, and the cursor of the next page; raises `NotFound` where the room does not exist."""
        found = await self._rooms.members(room_conversation(room).room, after=after, limit=limit + 1)
        if not found and await self._settings.find(room) is None:
            raise NotFound("There is no such room")
        page = fitting(found[:limit])
        return list(page), page[-1].id if len(found) > len(page) else None

    async def on_room_changed(self, room: str, policy: bool) -> None:
        """Handle a change of a room, made here or on another server. `policy`: whether the policy changed."""
        self._settings_cache.invalidate(room)
        if not policy:
            return
        for client in list(self._namespace.clients.values()):
            if room in client.rooms:
                await self._remove_without_role(client, room)

    async def recheck(self) -> None:
        """Take out every client that may not be in its rooms any more.

        Called when Redis is back: changes announced by other servers were lost while it was down.
        """
        self._settings_cache.invalidate_all()
        inside: dict[str, list[Client]] = {}
        for client in self._namespace.clients.values():
            for room in client.rooms:
                if not (room == client.id or room.startswith(RESERVED_PREFIXES)):
                    inside.setdefault(room, []).append(client)
        for room, clients in inside.items():
            if await self._access.policy(room) == MEMBERS:
                found = await self._rooms.members_among(room, [client.user or "" for client in clients])
                for client in clients:
                    if client.user not in found:
                        await self._remove_client(client, room)
            else:
                for client in clients:
                    await self._remove_without_role(client, room)
            await asyncio.sleep(0)

    async def _remove_without_role(self, client: Client, room: str) -> None:
        """Take the client out if it lacks the role that the room requires."""
        policy = await self._access.policy(room)
        if client.identity is None or not has_role_for(policy, client.identity):
            await self._remove_client(client, room)

    async def _remove_client(self, client: Client, room: str) -> None:
        await client.leave(room)
        await client.emit("left", {"room": room, "user": client.user})

    async def _announce(self, event: str, room: str, users: Sequence[str]) -> None:
        for chunk in _chunks(users):
            for user in chunk:
                await self._namespace.to(room, user_room(user)).emit(event, {"room": room, "user": user})
            await asyncio.sleep(0)

    async def _notify_watchers(self, what: str, by: str, **details: Any) -> None:
        for watcher in self.watchers:
            await watcher(what, by, details)

    def _with_policy(self, settings: RoomSettings) -> RoomSettings:
        return replace(settings, policy=self._access.policy_of(settings))


def _chunks(users: Iterable[str]) -> list[list[str]]:
    listed = list(users)
    return [listed[start : start + CHUNK] for start in range(0, len(listed), CHUNK)]
