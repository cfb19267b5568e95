"""Client manager of python-socketio as a view of our room tables, for code that reads `sio.manager`.

The tables of the base class are not used: the server's room tables are the only source. What would change those tables
raises; what an application may ask for is passed to the server.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from socketio import AsyncManager

from rtserver.sio.broadcast.room_names import flat_rooms
from rtserver.sio.broadcast.target import Flags, Target
from rtserver.sio.compat.unsupported import unsupported

if TYPE_CHECKING:
    from rtserver.sio.compat.interfaces import ApiContext


class Manager(AsyncManager):  # type: ignore[misc]  # python-socketio is untyped
    """python-socketio sets `server`; it is an `rtserver.Server`."""

    server: ApiContext

    def get_namespaces(self) -> list[str]:
        return self.server.open_namespaces()

    def get_participants(self, namespace: str, room: Any) -> Iterator[tuple[str, str]]:
        table = self.server.rooms_of(namespace)
        if table is not None:
            for client in table.select(Target(rooms=as_rooms(room))):
                yield client.id, client.connection.id

    def is_connected(self, sid: str, namespace: str) -> bool:
        table = self.server.rooms_of(namespace)
        return table is not None and sid in table.clients

    def eio_sid_from_sid(self, sid: str, namespace: str) -> str | None:
        client = self.server.find(sid, namespace)
        return client.connection.id if client is not None else None

    def sid_from_eio_sid(self, eio_sid: str, namespace: str) -> str | None:
        connection = self.server.connections.get(eio_sid)
        clients = connection.clients if connection is not None else []
        return next((client.id for client in clients if client.namespace_name == namespace), None)

    def get_rooms(self, sid: str, namespace: str) -> list[str]:
        client = self.server.find(sid, namespace)
        return [client.id, *client.rooms] if client is not None else []

    def is_sid_room(self, namespace: str, room: Any) -> bool:
        return isinstance(room, str) and self.is_connected(room, namespace)

    async def can_disconnect(self, sid: str, namespace: str) -> bool:
        return self.is_connected(sid, namespace)

    async def disconnect(self, sid: str, namespace: str, **kwargs: Any) -> None:
        await self.server.disconnect(sid, namespace, **kwargs)

    async def enter_room(self, sid: str, namespace: str, room: Any, eio_sid: str | None = None) -> None:
        await self.server.enter_room(sid, room, namespace)

    async def leave_room(self, sid: str, namespace: str, room: Any) -> None:
        await self.server.leave_room(sid, room, namespace)

    async def close_room(self, room: Any, namespace: str) -> None:
        await self.server.close_room(room, namespace)

    async def emit(
        self,
        event: str,
        data: Any,
        namespace: str,
        room: Any = None,
        skip_sid: Any = None,
        callback: Any = None,
        to: Any = None,
        **kwargs: Any,
    ) -> None:
        target = to if to is not None else room
        await self.server.emit(
            event, data, to=target, skip_sid=skip_sid, namespace=namespace, callback=callback, **kwargs
        )


def _refusing(name: str) -> Any:
    def refuse(self: Manager, *args: Any, **kwargs: Any) -> Any:
        unsupported(f"manager.{name}()", "the server keeps its clients and rooms itself, see its own methods")

    refuse.__name__ = name
    return refuse


for _name in (
    "pre_connect", "connect", "is_pre_connected", "pre_disconnect", "basic_disconnect", "basic_enter_room",
    "basic_leave_room", "basic_close_room", "trigger_callback",
):  # fmt: skip
    setattr(Manager, _name, _refusing(_name))


def as_rooms(room: Any) -> tuple[str, ...]:
    """python-socketio's `room` argument as a tuple: one room, several, or None for all clients."""
    return () if room is None else flat_rooms((room,))


def as_target(to: Any, skip_sid: Any, local: bool) -> Target:
    """python-socketio's `to` and `skip_sid` arguments as a target."""
    return Target(rooms=as_rooms(to), except_=as_rooms(skip_sid), flags=Flags(local=local))


def as_arguments(event: str, data: Any) -> list[Any]:
    """`[event, *args]` for `data` of `sio.emit`: a tuple is several arguments, None is none."""
    if data is None:
        return [event]
    if isinstance(data, tuple):
        return [event, *data]
    return [event, data]
