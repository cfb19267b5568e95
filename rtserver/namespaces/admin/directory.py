"""The cluster's directory of clients: who is connected where, as far as an admin may know. Never a token or a cookie.

An instance is reported as missing when it is in the registry, did not answer, and had clients in one of the namespaces
at its last heartbeat, or timed out. A Node server has no name here: without its answer `missing` may be empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence.instances import InstanceRegistry
from rtserver.errors import NotFound
from rtserver.identity import user_room
from rtserver.ids import looks_like_sid
from rtserver.namespaces.admin.payloads import ClientsPayload, RoomsPayload
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.server import Server

USER_PREFIX = user_room("")


class ClientDirectory:
    def __init__(self, server: Server, registry: InstanceRegistry) -> None:
        self._server = server
        self._silent = Silent(registry)

    def operator(self, namespace: str) -> Operator:
        """Everybody in a namespace; raises `NotFound` for one that the server does not have."""
        if not self._server.knows(namespace):
            raise NotFound(f'There is no namespace "{namespace}"')
        return self._server.of(namespace)

    def operators(self) -> list[Operator]:
        """One for every namespace of the server, and every name in use of a dynamic one."""
        return [self._server.of(namespace) for namespace in self._server.open_namespaces()]

    async def clients(self, wanted: ClientsPayload) -> dict[str, Any]:
        """A page of them ordered by id. No instance is asked for more of them than the page holds."""
        room = user_room(wanted.user) if wanted.user else wanted.room
        operators = [self.operator(wanted.namespace)] if wanted.namespace else self.operators()
        chosen = [operator.in_(room) if room else operator for operator in operators]
        after = wanted.cursor or ""
        answers = await asyncio.gather(*(one.page(wanted.limit + 1, after).fetch_sockets() for one in chosen))
        found = sorted((socket for socket in chain(*answers) if socket.id > after), key=lambda socket: socket.id)
        page = found[: wanted.limit]
        return {
            "clients": [describe(socket) for socket in page if _matches(socket, wanted)],
            "next": page[-1].id if len(found) > len(page) else None,
            **await self._silent.in_(answers, [operator.namespace for operator in chosen]),
        }

    async def close_connections(self, room: str) -> dict[str, Any]:
        """Close the connection of everybody in `room`, in every namespace; gives the number of sockets found.

        Who could not be counted is closed all the same, and the trouble of counting raised after.
        """
        addressed = [operator.in_(room) for operator in self.operators()]
        try:
            found = await asyncio.gather(*(operator.fetch_sockets() for operator in addressed))
        finally:
            await asyncio.gather(*(operator.disconnect_sockets(close=True) for operator in addressed))
        namespaces = [operator.namespace for operator in addressed]
        return {"disconnected": sum(map(len, found)), **await self._silent.in_(found, namespaces)}

    async def rooms(self, wanted: RoomsPayload) -> dict[str, Any]:
        """A page of the named rooms; the private ones of the sockets are left out."""
        everything = await self.operator(wanted.namespace).all_rooms()
        after = wanted.cursor or ""
        found = sorted(room for room in everything if room > after and not looks_like_sid(room))
        page = found[: wanted.limit]
        following = page[-1] if len(found) > len(page) else None
        return {"rooms": page, "next": following, **await self._silent.in_([everything], [wanted.namespace])}


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
    """What the room that was asked for does not tell by itself."""
    if wanted.user is None:
        return True
    return user_of(socket) == wanted.user and (wanted.room is None or wanted.room in socket.rooms)


def _since(handshake: Mapping[str, Any]) -> str | None:
    issued = handshake.get("issued")
    if not isinstance(issued, int | float):
        return None
    try:
        at = datetime.fromtimestamp(issued / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return None
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Silent:
    def __init__(self, registry: InstanceRegistry) -> None:
        self._registry = registry

    async def in_(self, answers: Sequence[Any], namespaces: Sequence[str]) -> dict[str, Any]:
        """`{partial: true, missing: [instance, …]}`, or nothing when everybody has answered."""
        instances = await self._registry.instances()
        partial, missing = instances.partial, set[str]()
        for answer, namespace in zip(answers, namespaces, strict=True):
            if isinstance(answer, PartialList | PartialSet):
                partial = partial or answer.partial
                missing.update(
                    instance.id
                    for instance in instances
                    if instance.id not in answer.responders and (answer.partial or instance.connections.get(namespace))
                )
        return {"partial": True, "missing": sorted(missing)} if partial or missing else {}
