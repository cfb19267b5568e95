"""Presence in the chat. A failing presence service does not fail chat events that can do without it.

`Online` asks the presence service; `PresenceAnnouncer` broadcasts its changes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import structlog

from rtserver.answer_size import fitting
from rtserver.cluster.partial_results import PartialSet
from rtserver.errors import EventError
from rtserver.identity import user_room
from rtserver.namespaces.chat.conversation import partner_in
from rtserver.namespaces.chat.interfaces import Presence, RoomStore
from rtserver.sio.client.client import Client
from rtserver.sio.namespace.namespace import Namespace
from rtserver.telemetry.trouble_log import TroubleLog

ANSWER_LIMIT = 1000
"""Users in one answer of `in_rooms_of`."""
log = structlog.get_logger("rtserver.chat")


class Online:
    """The presence service as the events of /chat use it."""

    def __init__(self, presence: Presence, rooms: RoomStore) -> None:
        self._presence = presence
        self._rooms = rooms
        self._trouble = TroubleLog(log, "presence_failed", "presence_works")

    async def connected(self, client: Client, user: str) -> None:
        """Report a new connection of `user`. A failure is logged, not raised."""
        await self._logged(self._presence.connected(user, client.id))

    async def disconnected(self, client: Client, user: str) -> None:
        """Report the end of a connection of `user`. A failure is logged, not raised."""
        await self._logged(self._presence.disconnected(user, client.id))

    async def known_online(self, users: Sequence[str]) -> PartialSet[str]:
        """Those of `users` that are online; an empty partial set while the presence service is unavailable."""
        try:
            return await self._presence.online(users)
        except EventError as error:
            self._trouble.failed(error.message)
            return PartialSet(partial=True)

    async def among(self, users: Sequence[str]) -> dict[str, Any]:
        """`{online: [user, …], partial?: true}`: those of `users`, in their order. Raises `Unavailable`."""
        online = await self._presence.online(users)
        return {"online": [user for user in dict.fromkeys(users) if user in online], **partial_field(online)}

    async def in_rooms_of(self, user: str, readable: Callable[[str | None], bool]) -> dict[str, Any]:
        """`{online: [user, …], partial?: true}`: members of the rooms of `user`, sorted, at most `ANSWER_LIMIT`.

        Only of rooms whose own policy is `readable`. Raises `Unavailable`.
        """
        online = await self._presence.online(await self._rooms.neighbours(user, readable))
        return {"online": fitting(sorted(online)[:ANSWER_LIMIT]), **partial_field(online)}

    async def _logged(self, report: Awaitable[None]) -> None:
        try:
            await report
        except EventError as error:
            self._trouble.failed(error.message)
        else:
            self._trouble.worked()


class MaybePartial(Protocol):
    @property
    def partial(self) -> bool: ...


def partial_field(*found: MaybePartial) -> dict[str, Any]:
    """`{partial: true}` where one of the results is not complete, else nothing."""
    return {"partial": True} if any(each.partial for each in found) else {}


class PresenceAnnouncer:
    """Broadcasts that a user came online or went offline, to the user's rooms and direct partners."""

    def __init__(self, namespace: Namespace, rooms: RoomStore) -> None:
        self._namespace = namespace
        self._rooms = rooms
        self._trouble = TroubleLog(log, "presence_not_announced", "presence_announced")

    async def announce(self, user: str, online: bool) -> None:
        """Emit `presence`. A failure to read the user's rooms is logged, not raised."""
        try:
            audience = audience_of(user, await self._rooms.rooms_of(user))
        except EventError as error:
            self._trouble.failed(error.message, user=user)
            return
        self._trouble.worked()
        if audience:  # an operator without rooms would address the whole namespace
            others = self._namespace.to(*audience).except_(user_room(user))
            await others.emit("presence", {"user": user, "online": online})


def audience_of(user: str, rooms: Iterable[str]) -> list[str]:
    """The namespace rooms in which `user` is visible: for a direct room, the devices of the partner."""
    partners = ((room, partner_in(room, user)) for room in rooms)
    return list(dict.fromkeys(room if partner is None else user_room(partner) for room, partner in partners))
