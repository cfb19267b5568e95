"""Finds clients all over the cluster and says what an admin may know of them: never a token or a cookie."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from rtserver.errors import NotFound
from rtserver.identity import user_room
from rtserver.namespaces.admin.payloads import ClientsPayload
from rtserver.sio.ids import looks_like_sid
from rtserver.sio.operator import Operator
from rtserver.sio.remote import RemoteSocket
from rtserver.sio.server import Server

USER_PREFIX = user_room("")


class Census:
    def __init__(self, server: Server) -> None:
        self._server = server

    def operator(self, namespace: str) -> Operator:
        """Everybody in a namespace; raises `NotFound` for one that the server does not have."""
        if not self._server.knows(namespace):
            raise NotFound(f'There is no namespace "{namespace}"')
        return self._server.of(namespace)

    def operators(self) -> list[Operator]:
        """One for every namespace of the server, and every name in use of a dynamic one."""
        return [self._server.of(namespace) for namespace in self._server.open_namespaces()]

    async def clients(self, wanted: ClientsPayload) -> tuple[list[dict[str, Any]], str | None]:
        """A page of them ordered by id, and the cursor of the next one."""
        found = [socket for socket in await self._find(wanted) if _matches(socket, wanted)]
        found.sort(key=lambda socket: (socket.id, socket.namespace))
        page = found[: wanted.limit]
        more = len(found) > len(page)
        return [describe(socket) for socket in page], page[-1].id if more else None

    async def _find(self, wanted: ClientsPayload) -> Iterable[RemoteSocket]:
        room = wanted.room or (user_room(wanted.user) if wanted.user else None)
        operators = [self.operator(wanted.namespace)] if wanted.namespace else self.operators()
        chosen = [operator.in_(room) if room else operator for operator in operators]
        found = await asyncio.gather(*(operator.fetch_sockets() for operator in chosen))
        return chain.from_iterable(found)

    async def close_connections(self, room: str) -> int:
        """Close the connection of everybody in `room`, in every namespace; gives the number of sockets found.

        Who could not be counted is closed all the same, and the trouble of counting raised after.
        """
        addressed = [operator.in_(room) for operator in self.operators()]
        try:
            found = await asyncio.gather(*(operator.fetch_sockets() for operator in addressed))
        finally:
            await asyncio.gather(*(operator.disconnect_sockets(close=True) for operator in addressed))
        return sum(map(len, found))

    async def rooms(self, namespace: str) -> list[str]:
        """The named rooms; the private ones of the sockets are left out."""
        return sorted(room for room in await self.operator(namespace).all_rooms() if not looks_like_sid(room))


def user_of(socket: RemoteSocket) -> str | None:
    """A Node server does not tell the user, but the socket is in the user's room there too."""
    named = (room.removeprefix(USER_PREFIX) for room in sorted(socket.rooms) if room.startswith(USER_PREFIX))
    return socket.user if socket.user is not None else next(named, None)


def describe(socket: RemoteSocket) -> dict[str, Any]:
    return {
        "sid": socket.id,
        "namespace": socket.namespace,
        "user": user_of(socket),
        "rooms": sorted(socket.rooms - {socket.id}),
        "address": socket.handshake.get("address"),
        "transport": socket.transport,
        "since": _since(socket.handshake),
        "instance": socket.instance,
    }


def _matches(socket: RemoteSocket, wanted: ClientsPayload) -> bool:
    if wanted.cursor is not None and socket.id <= wanted.cursor:
        return False
    return wanted.user is None or user_of(socket) == wanted.user


def _since(handshake: Mapping[str, Any]) -> str | None:
    issued = handshake.get("issued")
    if not isinstance(issued, int | float):
        return None
    try:
        at = datetime.fromtimestamp(issued / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
