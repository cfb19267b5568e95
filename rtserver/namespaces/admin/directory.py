"""Client directory of the cluster: where each client is connected. Never contains a token or a cookie.

An instance is reported as missing when it is in the registry and did not answer, and either the request timed out or it
had clients in one of the namespaces at its last heartbeat. A Node server is not in the registry: when only its answer
is missing, the answer is `partial` and `missing` is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, NamedTuple

from rtserver.answer_size import ANSWER_BYTES, fitting, size_of
from rtserver.cluster.partial_results import PartialList, PartialSet
from rtserver.cluster.presence.instances import InstanceRegistry
from rtserver.errors import NotFound
from rtserver.identity import user_room
from rtserver.ids import looks_like_sid
from rtserver.namespaces.admin.payloads import ClientsPayload, RoomsPayload
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.sio.dispatch.interfaces import ServerContext

USER_PREFIX = user_room("")


class ClientDirectory:
    """The answers of /admin about clients and rooms; each raises `Unavailable` while Redis is down."""

    def __init__(self, server: ServerContext, registry: InstanceRegistry) -> None:
        self._server = server
        self._registry = registry

    def operator(self, namespace: str) -> Operator:
        """The operator for all clients of a namespace; raises `NotFound` for an unknown namespace."""
        if not self._server.has_namespace(namespace):
            raise NotFound(f'There is no namespace "{namespace}"')
        return self._server.of(namespace)

    def operators(self) -> list[Operator]:
        """One operator for each namespace, and for each name of a dynamic namespace that is in use."""
        return [self._server.of(namespace) for namespace in self._server.open_namespaces()]

    async def clients(self, wanted: ClientsPayload) -> dict[str, Any]:
        """A page of clients by id: `{clients, next}`. No instance is asked for more than the page holds, plus one."""
        room = user_room(wanted.user) if wanted.user else wanted.room
        operators = [self.operator(wanted.namespace)] if wanted.namespace else self.operators()
        chosen = [operator.in_(room) if room else operator for operator in operators]
        after = wanted.cursor or ""
        answers = await asyncio.gather(*(one.page(wanted.limit + 1, after).fetch_sockets() for one in chosen))
        found = sorted((socket for socket in chain(*answers) if socket.id > after), key=lambda socket: socket.id)
        clients, last = _described(found, wanted)
        missing = await missing_instances(self._registry, answers, [operator.namespace for operator in chosen])
        return missing.mark({"clients": clients, "next": None if last is None else last.id})

    async def close_connections(self, room: str) -> dict[str, Any]:
        """Close the connections of all clients in `room`, in every namespace: `{disconnected: number of sockets}`.

        Connections that could not be counted are closed all the same; then the error of counting is raised.
        """
        addressed = [operator.in_(room) for operator in self.operators()]
        try:
            found = await asyncio.gather(*(operator.fetch_sockets() for operator in addressed))
        finally:
            await asyncio.gather(*(operator.disconnect_sockets(close=True) for operator in addressed))
        missing = await missing_instances(self._registry, found, [operator.namespace for operator in addressed])
        return missing.mark({"disconnected": sum(map(len, found))})

    async def rooms(self, wanted: RoomsPayload) -> dict[str, Any]:
        """A page of rooms by name: `{rooms, next}`, without the private rooms of sockets."""
        everything = await self.operator(wanted.namespace).all_rooms()
        after = wanted.cursor or ""
        found = sorted(room for room in everything if room > after and not looks_like_sid(room))
        page = fitting(found[: wanted.limit])
        missing = await missing_instances(self._registry, [everything], [wanted.namespace])
        return missing.mark({"rooms": page, "next": page[-1] if len(found) > len(page) else None})


def user_of(socket: RemoteSocket) -> str | None:
    """The user of a socket. A Node server does not send it, but its sockets too are in the room of their user."""
    named = (room.removeprefix(USER_PREFIX) for room in sorted(socket.rooms) if room.startswith(USER_PREFIX))
    return socket.user if socket.user is not None else next(named, None)


def describe(socket: RemoteSocket) -> dict[str, Any]:
    """A socket as admins see it."""
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


def _described(
    found: Sequence[RemoteSocket], wanted: ClientsPayload
) -> tuple[list[dict[str, Any]], RemoteSocket | None]:
    """The clients of a page that match and fit into an answer, and the last socket of it where more follow."""
    clients: list[dict[str, Any]] = []
    room, last = ANSWER_BYTES, None
    for socket in found[: wanted.limit]:
        if _matches(socket, wanted):
            client = describe(socket)
            room -= size_of(client)
            if room < 0 and clients:
                return clients, last
            clients.append(client)
        last = socket
    return clients, last if len(found) > wanted.limit else None


def _matches(socket: RemoteSocket, wanted: ClientsPayload) -> bool:
    """Whether the socket matches `user` and `room`, of which the addressed room checks only one."""
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


class MissingInstances(NamedTuple):
    """The instances that an answer of the cluster lacks.

    `partial`: the answer is not complete. `ids` may be empty then: a Node server is not in the registry.
    """

    partial: bool
    ids: list[str]

    def mark(self, answer: dict[str, Any]) -> dict[str, Any]:
        """`answer` with `partial` and `missing` where it is not complete, else `answer` itself."""
        return {**answer, "partial": True, "missing": self.ids} if self.partial else answer


async def missing_instances(
    registry: InstanceRegistry, answers: Sequence[Any], namespaces: Sequence[str]
) -> MissingInstances:
    """The registered instances that did not answer for one of the namespaces; `answers` has one item for each.

    Raises `Unavailable` when the registry cannot be read.
    """
    instances = await registry.instances()
    partial, missing = instances.partial, set[str]()
    for answer, namespace in zip(answers, namespaces, strict=True):
        if isinstance(answer, PartialList | PartialSet):
            partial = partial or answer.partial
            missing.update(
                instance.id
                for instance in instances
                if instance.id not in answer.responders and (answer.partial or instance.connections.get(namespace))
            )
    return MissingInstances(partial or bool(missing), sorted(missing))
