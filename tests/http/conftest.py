"""A server on a real socket with only the routes under test, behind the error boundary."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rtserver.app.http_api import allows_cors
from rtserver.engine.http.cors import OriginPolicy
from rtserver.http.cors import Cors
from rtserver.http.errors import error_boundary
from rtserver.http.pages.client_bundle import bundle_paths
from rtserver.protocol.addresses import TrustedPeers


class Routed(Protocol):
    def routes(self) -> list[web.RouteDef]: ...


Client = TestClient[web.Request, web.Application]
Serve = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    clients: list[Client] = []

    async def start(*parts: Routed, cors: Iterable[str] | None = None, proxies: Iterable[str] = ()) -> Client:
        app = web.Application(middlewares=[error_boundary])
        for part in parts:
            app.add_routes(part.routes())
        if cors is not None:
            policy = OriginPolicy(cors, own_host=True, trusted=TrustedPeers(proxies))
            Cors(policy, covers=partial(allows_cors, bundle=bundle_paths())).install(app)
        client: Client = TestClient(TestServer(app))
        await client.start_server()
        clients.append(client)
        return client

    yield start
    for client in clients:
        await client.close()
