"""Who is online, as far as the chat tells. Trouble of the presence service never stands in the chat's way."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

import structlog

from rtserver.cluster.partial_results import PartialSet
from rtserver.errors import EventError
from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import partner_in
from rtserver.namespaces.chat.interfaces import Presence, RoomStore
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace

ANSWER_LIMIT = 1000
log = structlog.get_logger("rtserver.chat")


class Online:
    """Asks the presence service on behalf of a client."""

    def __init__(self, presence: Presence, rooms: RoomStore) -> None:
        self._presence = presence
        self._rooms = rooms

    async def arrived(self, client: Client, user: str) -> None:
        await self._tell(self._presence.connected(user, client.id))

    async def left(self, client: Client, user: str) -> None:
        await self._tell(self._presence.disconnected(user, client.id))

    async def among(self, users: Sequence[str]) -> PartialSet[str]:
        """Those of `users` that are online; nobody while the presence service cannot say."""
        try:
            return await self._presence.online(users)
        except EventError as error:
            log.warning("presence_failed", error=error.message)
            return PartialSet(partial=True)

    async def ask(self, users: Sequence[str]) -> dict[str, Any]:
        """Those of `users` that are online, in the order asked; raises `Unavailable`."""
        online = await self._presence.online(users)
        return {"online": [user for user in dict.fromkeys(users) if user in online], **partly(online)}

    async def near(self, user: str) -> dict[str, Any]:
        """Who is online in the rooms of `user`, `ANSWER_LIMIT` at most."""
        online = await self._presence.online(await self._rooms.neighbours(user))
        return {"online": sorted(online)[:ANSWER_LIMIT], **partly(online)}

    async def _tell(self, told: Awaitable[None]) -> None:
        try:
            await told
        except EventError as error:
            log.warning("presence_failed", error=error.message)


class MaybePartial(Protocol):
    @property
    def partial(self) -> bool: ...


def partly(*found: MaybePartial) -> dict[str, Any]:
    """What an answer says when others may be online too, or in the room."""
    return {"partial": True} if any(each.partial for each in found) else {}


class PresenceAnnouncer:
    """Tells the rooms and the direct partners of a user that the user came or went."""

    def __init__(self, namespace: Namespace, rooms: RoomStore) -> None:
        self._namespace = namespace
        self._rooms = rooms

    async def announce(self, user: str, online: bool) -> None:
        try:
            audience = audience_of(user, await self._rooms.rooms_of(user))
        except EventError as error:
            log.warning("presence_not_announced", user=user, error=error.message)
            return
        if audience:  # an operator without rooms would address everybody
            told = self._namespace.to(*audience).except_(user_room(user))
            await told.emit("presence", {"user": user, "online": online})


def audience_of(user: str, rooms: Iterable[str]) -> list[str]:
    """Where `user` is seen: the rooms, and for a direct conversation the devices of the partner."""
    partners = ((room, partner_in(room, user)) for room in rooms)
    return list(dict.fromkeys(room if partner is None else user_room(partner) for room, partner in partners))
