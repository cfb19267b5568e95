"""Request handlers: execute the requests of other servers and of emitters; a table from request type to method."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import structlog

from rtserver.cluster.adapter.link import Link, target_of
from rtserver.protocol import msgpack
from rtserver.protocol.adapter import Broadcast, Request, RequestType
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.remote_socket import RemoteSocket
from rtserver.tasks import cancelled
from rtserver.telemetry.refusal_log import RefusalLog

log = structlog.get_logger("rtserver.cluster")

ACK_TIMEOUT = 30.0
"""Seconds to wait for the acks of a broadcast without a timeout."""
MAX_ACK_TIMEOUT = 600.0
MAX_RUNNING = 5_000
"""Requests that may run concurrently; their number and duration are chosen by other servers."""


class RequestHandlers:
    """`adapter`: only its local methods are called."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        # Not `Tasks`: their number is bounded, and on Python 3.12 `Tasks` would start them within the delivery of the
        # message.
        self._tasks: set[asyncio.Task[None]] = set()
        self._broadcasts_starting = 0
        self._refusals = RefusalLog(log)

    async def stop(self) -> None:
        """Cancel the requests that are running."""
        await cancelled(*self._tasks)

    def has_room(self, link: Link, room: str) -> bool:
        """Return whether a local client is in the room."""
        return self._adapter.has_room(link.nsp, room)

    def on_broadcast(self, link: Link, message: Broadcast) -> None:
        """Broadcast to the local clients, unless the namespace has delivered it already."""
        if link.screen is not None and not link.screen(message.args, message.options.rooms):
            return
        target = target_of(message.options)
        if self._broadcasts_starting:  # a broadcast with acks came earlier and must go out first
            loop = asyncio.get_running_loop()
            loop.call_soon(self._adapter.local_broadcast, link.nsp, message.args, target)
        else:
            self._adapter.local_broadcast(link.nsp, message.args, target)

    def on_request(self, link: Link, request: Request) -> None:
        """Execute a request of another server; our own are ignored when they come back."""
        if request.uid == link.uid or link.is_own(request.request_id):
            return
        if len(self._tasks) >= MAX_RUNNING and request.type in _RUN_AS_TASKS:
            self._adapter.server.metrics.rejected("cluster_busy")
            self._refuse(link, request, f"{MAX_RUNNING} requests are running")
        else:
            _HANDLERS[request.type](self, link, request)

    # One method for each type of request.

    def _sockets(self, link: Link, request: Request) -> None:
        found = self._adapter.local_sockets(link.nsp, target_of(request.options))
        link.respond(request, sockets=[socket.id for socket in found])

    def _all_rooms(self, link: Link, request: Request) -> None:
        rooms = sorted(self._adapter.local_rooms(link.nsp))
        link.respond(request, rooms=rooms, instance=self._adapter.server.instance_id)

    def _fetch(self, link: Link, request: Request) -> None:
        found = self._adapter.local_sockets(link.nsp, target_of(request.options))
        sockets = [_description(socket) for socket in found]
        link.respond(request, sockets=sockets, instance=self._adapter.server.instance_id)

    def _join(self, link: Link, request: Request) -> None:
        self._acknowledge(link, request)
        self._adapter.local_join(link.nsp, target_of(request.options), request.rooms)

    def _leave(self, link: Link, request: Request) -> None:
        self._acknowledge(link, request)
        self._adapter.local_leave(link.nsp, target_of(request.options), request.rooms)

    def _disconnect(self, link: Link, request: Request) -> None:
        self._acknowledge(link, request)
        target = target_of(request.options)
        self._spawn(self._adapter.local_disconnect(link.nsp, target, request.close))

    def _server_side_emit(self, link: Link, request: Request) -> None:
        self._spawn(self._run_server_event(link, request))

    def _broadcast(self, link: Link, request: Request) -> None:
        if request.request_id is not None:
            self._broadcasts_starting += 1
            self._spawn(self._run_broadcast(link, request))

    async def _run_server_event(self, link: Link, request: Request) -> None:
        try:
            value = await self._adapter.local_server_event(link.nsp, list(request.args))
        except LookupError:
            self._refuse(link, request, "no namespace here handles its server-side event")
            return
        link.respond(request, data=value)

    async def _run_broadcast(self, link: Link, request: Request) -> None:
        self._broadcasts_starting -= 1
        await self._adapter.local_broadcast_with_ack(
            link.nsp,
            request.args,
            target_of(request.options),
            _seconds(request.options.flags.get("timeout")),
            lambda clients: link.respond(request, RequestType.BROADCAST_CLIENT_COUNT, clientCount=clients),
            lambda value: link.acknowledge(request, value),
        )

    def _acknowledge(self, link: Link, request: Request) -> None:
        if request.reply_only_if_present and self._adapter.has_room(link.nsp, request.options.rooms[0]):
            link.respond(request)

    def _refuse(self, link: Link, request: Request, reason: str) -> None:
        """Log a request that is not executed."""
        uid = request.uid if request.uid is not None and request.uid.isalnum() else ""
        self._refusals.note("cluster_request_refused", reason, {"namespace": link.nsp, "uid": uid[:40]})

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_logged(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


_HANDLERS: Mapping[RequestType, Callable[[RequestHandlers, Link, Request], None]] = {
    RequestType.SOCKETS: RequestHandlers._sockets,
    RequestType.ALL_ROOMS: RequestHandlers._all_rooms,
    RequestType.REMOTE_JOIN: RequestHandlers._join,
    RequestType.REMOTE_LEAVE: RequestHandlers._leave,
    RequestType.REMOTE_DISCONNECT: RequestHandlers._disconnect,
    RequestType.REMOTE_FETCH: RequestHandlers._fetch,
    RequestType.SERVER_SIDE_EMIT: RequestHandlers._server_side_emit,
    RequestType.BROADCAST: RequestHandlers._broadcast,
}

_RUN_AS_TASKS = frozenset({RequestType.REMOTE_DISCONNECT, RequestType.SERVER_SIDE_EMIT, RequestType.BROADCAST})


def _seconds(milliseconds: Any) -> float:
    """Convert the timeout of a broadcast; an invalid one is replaced by `ACK_TIMEOUT`."""
    if isinstance(milliseconds, int | float) and 0 < milliseconds <= MAX_ACK_TIMEOUT * 1000:
        return milliseconds / 1000
    return ACK_TIMEOUT


async def _logged(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Exception:
        log.exception("cluster_request_failed")


def _description(socket: RemoteSocket) -> dict[str, Any]:
    """Describe a socket as Node does, with the additions of rtserver. The handshake contains no secrets."""
    return {
        "id": socket.id,
        "handshake": socket.handshake,
        "rooms": sorted(socket.rooms),
        "data": _shareable(socket.data),
        "user": socket.user,
        "transport": socket.transport,
        "instance": socket.instance,
    }


def _shareable(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that can be sent: handlers may keep any object in `client.data`."""
    return {key: value for key, value in data.items() if _can_be_sent(value)}


def _can_be_sent(value: Any) -> bool:
    try:
        msgpack.dumps(value)
    except TypeError:
        return False
    return True
