"""Room administration: settings and members of rooms, changed by backends, admins and moderators.

1. The order of a change: the database, the caches and sockets of every server, the broadcasts, the watchers. So a
   message that is sent after a change, on any server, finds no socket in the room that should not be there.
2. A new policy is told by each server to its own sockets, once it has taken out those without the right: a server that
   does not answer within `PATIENCE` tells it late, but to nobody else.
3. The caller checks whether the change is allowed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from msgspec import to_builtins
from msgspec.structs import replace

from rtserver.answer_size import fitting
from rtserver.errors import NotFound
from rtserver.identity import user_room
from rtserver.namespaces.chat.access import MEMBERS, Access, has_role_for
from rtserver.namespaces.chat.conversation import RESERVED_PREFIXES, room_conversation
from rtserver.namespaces.chat.interfaces import MembershipStore, RoomSettingsStore, RoomStore
from rtserver.namespaces.chat.settings_cache import RoomSettingsCache
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.store.messages.records import Member
from rtserver.store.rooms.room_settings import RoomSettings

CHANGED = "roomSettings"
"""The event between servers; its arguments are the fields of `RoomChange`."""
PATIENCE = 2.0
"""Seconds to wait for other servers."""
CHUNK = 50
"""Users addressed by one message between servers; the event loop runs other work between two chunks."""

log = structlog.get_logger("rtserver.chat")

Watcher = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]


class RoomChange(NamedTuple):
    """A change of a room, as every server applies it. `policy`: whether the policy changed; `removed`: former members.

    `told`: the new settings as clients see them, to be sent as `roomChanged` to the sockets of the server, or None.
    """

    room: str
    policy: bool = False
    removed: Sequence[str] = ()
    told: dict[str, Any] | None = None

    @classmethod
    def received(cls, args: Sequence[Any]) -> RoomChange | None:
        """The change of another server. Checked, as any server may emit the event; None where it is not valid."""
        try:
            change: RoomChange = msgspec.convert(args, cls)
        except msgspec.ValidationError:
            return None
        return change


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
            await self._apply_everywhere(RoomChange(room, policy))
            wire = to_builtins(shown)
            if policy:  # see rule 2
                await self._namespace.server_side_emit(CHANGED, *RoomChange(room, policy, told=wire))
            audience = self._namespace.local if policy else self._namespace
            await audience.to(room).except_(except_sid).emit("roomChanged", wire)
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
        chunks = _chunks(dict.fromkeys(users))
        await asyncio.gather(*(self._apply_everywhere(RoomChange(room, removed=chunk)) for chunk in chunks))
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

    async def apply(self, change: RoomChange) -> None:
        """Apply a change of a room on this server, made here or on another one."""
        room = change.room
        self._settings_cache.invalidate(room)
        if change.removed:
            await self._namespace.local.in_(*map(user_room, change.removed)).sockets_leave(room)
        if change.policy:
            await self._remove_strangers(room, [one for one in self._namespace.clients.values() if room in one.rooms])
        if change.told is not None:
            await self._namespace.local.to(room).emit("roomChanged", change.told)

    async def _apply_everywhere(self, change: RoomChange) -> None:
        """Apply a change here, then on the other servers; returns when they have done so, or after `PATIENCE`."""
        if change.removed:  # servers of other kinds too
            await self._namespace.in_(*map(user_room, change.removed)).sockets_leave(change.room)
        await self.apply(change)
        try:
            await self._namespace.server_side_emit_with_ack(CHANGED, *change, timeout=PATIENCE)
        except AckTimeout:
            log.warning("room_change_unconfirmed", room=change.room)

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
            await self._remove_strangers(room, clients)
            await asyncio.sleep(0)

    async def _remove_strangers(self, room: str, clients: Sequence[Client]) -> None:
        """Take out those of the clients in the room that its policy does not admit."""
        if await self._access.policy(room) == MEMBERS:
            found = await self._rooms.members_among(room, [client.user or "" for client in clients])
            for client in clients:
                if client.user not in found:
                    await self._remove_client(client, room)
        else:
            for client in clients:
                await self._remove_without_role(client, room)

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
