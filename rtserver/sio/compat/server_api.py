"""API of python-socketio: the public methods of `socketio.AsyncServer`, on our clients and rooms.

Signatures and meaning are python-socketio's: https://python-socketio.readthedocs.io/en/stable/api.html
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import socketio
from aiohttp import web
from socketio import exceptions

from rtserver.protocol import json
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.room_names import RoomName, room_name
from rtserver.sio.broadcast.target import Flags, Target
from rtserver.sio.compat.call_log import log_calls
from rtserver.sio.compat.manager import Manager, as_arguments, as_rooms, as_target
from rtserver.sio.compat.unsupported import unsupported

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.compat.interfaces import ApiContext

CALL_TIMEOUT = 60.0


class _Codec:
    """The `json` argument of python-socketio: a module or class with `dumps` and `loads`."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return json.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        return json.loads(text)


class SocketIOServerApi(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio is untyped
    """Overrides the methods of `socketio.AsyncServer`. Everything of ours comes from `context`.

    A base class of `Server`, not a part of it: a `Server` has to be a `socketio.AsyncServer`, and applications call
    these methods on it, override them, and reach them by `super()`. As methods of a part they would stand in `Server`
    once more, and each emit would make one more call.
    """

    def __init__(self, context: ApiContext, client_manager: Any = None, **kwargs: Any) -> None:
        self._context = context
        if client_manager is not None and type(client_manager) is not socketio.AsyncManager:
            raise TypeError(
                "rtserver.Server has its own client manager; to connect servers through Redis, pass adapter=… "
                "or set RTSERVER_REDIS_URL"
            )
        super().__init__(client_manager=Manager(), **{**kwargs, "json": _Codec, "async_mode": "aiohttp"})
        self.logs_calls = bool(kwargs.get("logger"))
        if self.logs_calls:
            log_calls(self, self.logger)

    def _require(self, sid: str, namespace: str | None) -> Client:
        client = self._context.find(sid, namespace or "/")
        if client is None:
            raise KeyError("Session not found")
        return client

    async def emit(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        room: Any = None,
        skip_sid: Any = None,
        namespace: str | None = None,
        callback: Any = None,
        ignore_queue: bool = False,
    ) -> None:
        """Emit to a client, a room, several rooms, or all clients of the namespace.

        `callback` is called with the ack; only together with `to` or `room`.
        """
        server, nsp, args = self._context, namespace or "/", as_arguments(event, data)
        to = to if to is not None else room
        client = server.find(to, nsp) if isinstance(to, str) else None
        if callback is not None:
            if to is None:
                raise ValueError("Cannot use callback without a room set.")
            self._emit_with_callback(client, nsp, args, as_target(to, skip_sid, local=ignore_queue), callback)
        elif client is not None and to not in as_rooms(skip_sid):
            # Also while its connect handler runs: broadcasts skip it then.
            client.send_event(args)
        else:
            server.adapter.broadcast(nsp, args, as_target(to, skip_sid, local=ignore_queue))

    def _emit_with_callback(
        self, client: Client | None, nsp: str, args: list[Any], target: Target, callback: Any
    ) -> None:
        server = self._context
        if client is not None and client.id not in target.except_:
            client.send_event(args, client.on_ack(lambda values: self._call_back(callback, values)))
            return

        async def ask_other_servers() -> None:
            with suppress(AckTimeout):
                for answer in await server.adapter.broadcast_with_ack(nsp, args, target, CALL_TIMEOUT):
                    self._call_back(callback, [answer])

        server.spawn(ask_other_servers())

    def _call_back(self, callback: Any, values: list[Any] | None) -> None:
        """Run an ack callback, plain or async; not for a client that left without answering."""
        if values is None:
            return

        async def run() -> None:
            result = callback(*values)
            if inspect.isawaitable(result):
                await result

        self._context.spawn(run())

    async def call(
        self,
        event: str,
        data: Any = None,
        to: Any = None,
        sid: Any = None,
        namespace: str | None = None,
        timeout: float | None = CALL_TIMEOUT,
        ignore_queue: bool = False,
    ) -> Any:
        """Emit to one client and return its ack: None, one value, or a tuple.

        Raises `socketio.exceptions.TimeoutError` after `timeout` seconds, `RuntimeError` in the connect handler of this
        client.
        """
        server, nsp, args = self._context, namespace or "/", as_arguments(event, data)
        target = to if to is not None else sid
        if target is None:
            raise ValueError("Cannot use call() to broadcast.")
        seconds = timeout if timeout is not None else CALL_TIMEOUT
        target = room_name(target)
        client = server.find(target, nsp)
        try:
            if client is not None:
                return _unpacked(await client.request_ack(args, seconds))
            rooms = Target(rooms=(target,), flags=Flags(local=ignore_queue))
            answers = await server.adapter.broadcast_with_ack(nsp, args, rooms, seconds)
            return answers[0]
        except (AckTimeout, IndexError):  # no answer, or no such client
            raise exceptions.TimeoutError() from None

    async def enter_room(self, sid: str, room: RoomName, namespace: str | None = None) -> None:
        """Make a client join a room, on whichever server it is."""
        client, name = self._context.find(sid, namespace or "/"), room_name(room)
        if client is not None:
            await client.join(name)
        else:
            await self._context.adapter.sockets_join(namespace or "/", Target(rooms=(room_name(sid),)), [name])

    async def leave_room(self, sid: str, room: RoomName, namespace: str | None = None) -> None:
        """Make a client leave a room, on whichever server it is."""
        client, name = self._context.find(sid, namespace or "/"), room_name(room)
        if client is not None:
            await client.leave(name)
        else:
            await self._context.adapter.sockets_leave(namespace or "/", Target(rooms=(room_name(sid),)), [name])

    async def close_room(self, room: RoomName, namespace: str | None = None) -> None:
        """Make all members leave a room, cluster-wide."""
        name = room_name(room)
        await self._context.adapter.sockets_leave(namespace or "/", Target(rooms=(name,)), [name])

    def rooms(self, sid: str, namespace: str | None = None) -> list[str]:
        """The rooms of a client of this server, its own id included."""
        return cast("list[str]", self.manager.get_rooms(sid, namespace or "/"))

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        """The user session of a client of this server; raises `KeyError` for an unknown one."""
        return self._require(sid, namespace).user_session

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        """Replace the user session of a client of this server; raises `KeyError` for an unknown one."""
        self._require(sid, namespace).user_session = session

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        """Disconnect a client; with `ignore_queue`, only when it is on this server."""
        client = self._context.find(sid, namespace or "/")
        if client is not None:
            await client.disconnect()
        elif not ignore_queue:
            target = Target(rooms=(room_name(sid),))
            await self._context.adapter.disconnect_sockets(namespace or "/", target, close=False)

    async def handle_request(self, *args: Any, **kwargs: Any) -> Any:
        """Answer a request of aiohttp; raises `TypeError` for those of other frameworks."""
        if len(args) != 1 or kwargs or not isinstance(args[0], web.BaseRequest):
            raise TypeError(
                "rtserver.Server serves aiohttp applications: call sio.attach(app) with an aiohttp.web.Application; "
                "socketio.ASGIApp and the handlers of other frameworks cannot serve it"
            )
        return await super().handle_request(args[0])

    def instrument(self, *args: Any, **kwargs: Any) -> Any:
        """Raises `NotImplementedError`: the Socket.IO Admin UI cannot be served."""
        unsupported("instrument()", "`rtserver serve` has the namespace /admin, and server.metrics has the counters")


def _unpacked(values: list[Any]) -> Any:
    """The values of an ack as python-socketio returns them."""
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)
