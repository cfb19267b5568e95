"""The namespaces of the rtserver instances under test: `/wire` is in the cluster, `/control` drives it."""

from __future__ import annotations

import inspect
import re
from typing import Any

from rtserver import Client, Namespace, event, server_event
from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.broadcast.remote_socket import RemoteSocket

HEARD: list[list[Any]] = []


class Wire(Namespace, path="/wire"):
    auth = "none"

    @event("join")
    async def join(self, client: Client, rooms: list[str]) -> None:
        await client.join(*rooms)

    @event("data")
    async def keep(self, client: Client, data: dict[str, Any]) -> None:
        client.data.update(data)

    @server_event("note")
    async def note(self, *args: Any) -> None:
        HEARD.append(list(args))

    @server_event("add")
    async def add(self, a: int, b: int) -> int:
        return a + b


class Control(Namespace, path="/control"):
    """`do` calls the operator's methods by their names in Node."""

    auth = "none"

    @event("do", rate=None)
    async def do(self, client: Client, namespace: str, steps: list[list[Any]]) -> dict[str, Any]:
        at: Any = self.of(namespace)
        try:
            at = await walk(at, steps)
        except AckTimeout as error:
            return {"error": error.message, "responses": error.responses}
        return {"value": _told(at), "partial": getattr(at, "partial", None)}


async def walk(at: Any, steps: list[list[Any]]) -> Any:
    """Call methods and properties by their names in Node."""
    for name, *args in steps:
        at = await _step(at, name, args)
    return at


async def _step(at: Any, name: str, args: list[Any]) -> Any:
    match name:
        case "heard":
            heard, HEARD[:] = list(HEARD), []
            return heard
        case "socket":
            return next(socket for socket in at if socket.id == args[0])
        case "timeout":
            args = [args[0] / 1000]
    found = getattr(at, {"in": "in_", "except": "except_"}.get(name) or re.sub("[A-Z]", _snake, name))
    options = {"timeout": 1.0} if name == "serverSideEmitWithAck" else {}
    value = found if name in ("volatile", "local") else found(*args, **options)
    return await value if inspect.isawaitable(value) else value


def _snake(capital: re.Match[str]) -> str:
    return f"_{capital[0].lower()}"


def _told(value: Any) -> Any:
    if isinstance(value, RemoteSocket):
        return {"id": value.id, "rooms": sorted(value.rooms), "data": value.data, "handshake": value.handshake}
    if isinstance(value, set):
        return sorted(value)
    return [_told(item) for item in value] if isinstance(value, list) else value
