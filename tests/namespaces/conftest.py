"""Fixtures of the namespace tests: one server and its clients."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.support.js_client import JsClient
from tests.support.preloaded import PreloadedInterpreter
from tests.support.rtserver_process import RtServer

Device = Callable[..., Awaitable[JsClient]]


@pytest.fixture
def interpreter(preloaded_interpreter: PreloadedInterpreter) -> PreloadedInterpreter:
    return preloaded_interpreter


@pytest.fixture
async def running(server: Callable[..., Awaitable[RtServer]]) -> RtServer:
    """A server without limits on the rate of events."""
    return await server(RATE_EVENTS="100000/s")


@pytest.fixture
def device(running: RtServer, js: Callable[..., Awaitable[JsClient]]) -> Device:
    """`await device("alice", "/chat")`: a device of that user, connected."""

    async def connect(user: str, namespace: str, roles: tuple[str, ...] = (), **options: Any) -> JsClient:
        token = running.token(user, name=user.capitalize(), roles=roles)
        return await js(running.url, namespace, token=token, **{"transports": ["websocket"], **options})

    return connect


@pytest.fixture
def notify(running: RtServer) -> Callable[..., Awaitable[dict[str, Any]]]:
    """`await notify(user="alice", type="order", message="Sent")`: what a backend does."""

    async def post(**notification: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {running.api_key}"}
        url = f"{running.url}/api/notifications"
        async with aiohttp.ClientSession(headers=headers) as http, http.post(url, json=notification) as response:
            body: dict[str, Any] = await response.json()
            assert response.status < 300, body
            return body

    return post
