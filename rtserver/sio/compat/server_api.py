"""The public methods of `socketio.AsyncServer`, carried out on our clients and rooms.

Signatures and meaning are python-socketio's: https://python-socketio.readthedocs.io/en/stable/api.html
"""

from __future__ import annotations

import inspect
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

import socketio
from socketio import exceptions

from rtserver.protocol import json
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.target import Target
from rtserver.sio.compat.manager import Manager, as_arguments, as_rooms, as_target

if TYPE_CHECKING:
    from rtserver.sio.client.client import Client
    from rtserver.sio.server import Server

CALL_TIMEOUT = 60.0


class _Codec:
    """What python-socketio calls a JSON module."""

    @staticmethod
    def dumps(value: Any, **_: Any) -> str:
        return json.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: Any) -> Any:
        return json.loads(text)


class SocketIOServerApi(socketio.AsyncServer):  # type: ignore[misc]  # python-socketio is untyped
    def __init__(self, client_manager: Any = None, **kwargs: Any) -> None:
        if client_manager is not None and type(client_manager) is not socketio.AsyncManager:
            raise TypeError(
                "rtserver.Server keeps its own clients and rooms; to join servers through Redis give it "
                "adapter=… or set RTSERVER_REDIS_URL"
            )
        kwargs.setdefault("json", _Codec)
        kwargs["async_mode"] = "aiohttp"
        super().__init__(client_manager=Manager(), **kwargs)

    @property
    def _own(self) -> Server:
        return cast("Server", self)

    def _require(self, sid: str, namespace: str | None) -> Client:
        client = self._own.find(sid, namespace or "/")
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
        """Emit to a client, a room, several, or everybody in the namespace; `callback` gets one client's ack."""
        server, nsp, args = self._own, namespace or "/", as_arguments(event, data)
        to = to if to is not None else room
        client = server.find(to, nsp) if isinstance(to, str) else None
        if callback is not None:
            if to is None:
                raise ValueError("Cannot use callback without a room set.")
            self._emit_with_callback(client, nsp, args, to, skip_sid, callback)
        elif client is not None and to not in as_rooms(skip_sid):
            # Also while its connect handler runs, when no broadcast reaches it yet.
            client.send_event(args)
        else:
            server.adapter.broadcast(nsp, args, as_target(to, skip_sid, local=ignore_queue))

    def _emit_with_callback(
        self, client: Client | None, nsp: str, args: list[Any], to: Any, skip_sid: Any, callback: Any
    ) -> None:
        server = self._own
        if client is not None:
            client.send_event(args, client.on_ack(lambda values: server.call_back(callback, values)))
            return

        async def ask_others() -> None:
            with suppress(AckTimeout):
                target = as_target(to, skip_sid, local=False)
                for answer in await server.adapter.broadcast_with_ack(nsp, args, target, CALL_TIMEOUT):
                    server.call_back(callback, [answer])

        server.spawn(ask_others())

    def call_back(self, callback: Any, values: list[Any] | None) -> None:
        """Run an ack callback; a client that left without answering calls none."""
        if values is None:
            return

        async def run() -> None:
            result = callback(*values)
            if inspect.isawaitable(result):
                await result

        self._own.spawn(run())

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
        """Emit to one client and wait for its ack: None, one value, or a tuple; raises `TimeoutError` of socketio."""
        server, nsp, args = self._own, namespace or "/", as_arguments(event, data)
        target = to if to is not None else sid
        if target is None:
            raise ValueError("Cannot use call() to broadcast.")
        seconds = timeout if timeout is not None else CALL_TIMEOUT
        client = server.find(target, nsp)
        try:
            if client is not None:
                return _unpacked(await client.ask(args, seconds))
            answers = await server.adapter.broadcast_with_ack(nsp, args, Target(rooms=(target,)), seconds)
            return answers[0]
        except (AckTimeout, IndexError):  # no answer, or nobody to give one
            raise exceptions.TimeoutError() from None

    async def enter_room(self, sid: str, room: str, namespace: str | None = None) -> None:
        client = self._own.find(sid, namespace or "/")
        if client is not None:
            await client.join(room)
        else:
            await self._own.adapter.sockets_join(namespace or "/", Target(rooms=(sid,)), [room])

    async def leave_room(self, sid: str, room: str, namespace: str | None = None) -> None:
        client = self._own.find(sid, namespace or "/")
        if client is not None:
            await client.leave(room)
        else:
            await self._own.adapter.sockets_leave(namespace or "/", Target(rooms=(sid,)), [room])

    async def close_room(self, room: str, namespace: str | None = None) -> None:
        await self._own.adapter.sockets_leave(namespace or "/", Target(rooms=(room,)), [room])

    def rooms(self, sid: str, namespace: str | None = None) -> list[str]:
        return cast("list[str]", self.manager.get_rooms(sid, namespace or "/"))

    async def get_session(self, sid: str, namespace: str | None = None) -> Any:
        return self._require(sid, namespace).session

    async def save_session(self, sid: str, session: Any, namespace: str | None = None) -> None:
        self._require(sid, namespace).session = session

    async def disconnect(self, sid: str, namespace: str | None = None, ignore_queue: bool = False) -> None:
        client = self._own.find(sid, namespace or "/")
        if client is not None:
            await client.disconnect()
        elif not ignore_queue:
            await self._own.adapter.disconnect_sockets(namespace or "/", Target(rooms=(sid,)), close=False)


def _unpacked(values: list[Any]) -> Any:
    """The values of an ack as python-socketio gives them."""
    if not values:
        return None
    return values[0] if len(values) == 1 else tuple(values)
