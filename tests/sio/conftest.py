"""Fixtures: a real server in the test's own process, so that tests can pause handlers and inspect it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
import socketio
from aiohttp import web

from rtserver.engine.runner import Runner
from rtserver.errors import Refused
from rtserver.identity import Identity
from rtserver.sio.client.handshake import Handshake
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.server import Server
from tests.sio.raw import Raw

Serve = Callable[..., Awaitable["Served"]]
OpenRaw = Callable[..., Awaitable[Raw]]
OpenPython = Callable[..., Awaitable[socketio.AsyncClient]]


class Served:
    def __init__(self, server: Server, url: str) -> None:
        self.server = server
        self.url = url

    def traces(self) -> dict[str, Any]:
        """What the server still holds of clients; empty when all have left."""
        server = self.server
        rooms = {name: server.rooms_of(name) for name in server.open_namespaces()}
        found = {
            "connections": list(server.connections),
            "clients": list(server._clients),
            "environ": list(server.environ),
            "rooms": [name for name, table in rooms.items() if table and table.names()],
            "connected": dict(server.metrics.connections),
        }
        return {name: value for name, value in found.items() if value}

    async def deserted(self) -> None:
        """Wait until the server holds nothing of any client."""
        await eventually(lambda: not self.traces(), lambda: f"still held: {self.traces()}")


async def eventually(
    done: Callable[[], Any], story: Callable[[], str] = lambda: "the condition was not reached", seconds: float = 10.0
) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, story()
        await asyncio.sleep(0.002)


class Tokens:
    """An authenticator: `{"token": "alice:admin"}` is alice with the role admin."""

    def __init__(self, expires_in: float | None = None) -> None:
        self._expires_in = expires_in

    async def authenticate(self, handshake: Handshake) -> Identity | None:
        token = (handshake.auth or {}).get("token")
        if token is None:
            return None
        if not isinstance(token, str) or token == "bad":
            raise Refused("Auth failed", code="token_invalid")
        if token == "boom":
            raise RuntimeError("the key server is down")
        user, _, roles = token.partition(":")
        expires = time.time() + self._expires_in if self._expires_in is not None else None
        return Identity(user=user, roles=frozenset(filter(None, roles.split(","))), expires_at=expires)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """`await serve(Namespace(), …, **arguments)` starts a Server with these namespaces on a free port."""
    runners: list[tuple[Runner, Server]] = []

    async def start(*namespaces: Namespace, server: Server | None = None, **arguments: Any) -> Served:
        server = server or Server(**arguments)
        for namespace in namespaces:
            server.add_namespace(namespace)
        app = web.Application()
        server.attach(app)
        runner = Runner(app, shutdown_timeout=0.1)
        runners.append((runner, server))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return Served(server, f"http://127.0.0.1:{runner.addresses[0][1]}")

    yield start
    for runner, server in runners:
        server.drain.hurry()  # a polling client that was closed between two polls does not poll again
        await runner.cleanup()


@pytest.fixture
async def raw() -> AsyncIterator[OpenRaw]:
    """`await raw(url)` opens a WebSocket on which a test writes the packets itself."""
    async with aiohttp.ClientSession() as http:

        async def open(url: str, **headers: str) -> Raw:
            address = f"{url}/socket.io/?EIO=4&transport=websocket"
            return await Raw(await http.ws_connect(address, headers=headers)).opened()

        yield open


@pytest.fixture
async def python() -> AsyncIterator[OpenPython]:
    """`await python(url, "/ns", auth=…)` connects python-socketio's own client."""
    clients: list[socketio.AsyncClient] = []

    async def open(url: str, namespace: str = "/", prepare: Any = None, **arguments: Any) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        clients.append(client)
        if prepare is not None:
            prepare(client)
        await client.connect(url, namespaces=[namespace], transports=["websocket"], **arguments)
        return client

    yield open
    for client in clients:
        await client.disconnect()
