"""The path of the endpoint, with and without a slash at its end, on every way in."""

from __future__ import annotations

import pytest

from tests.engine.conftest import POLLING, eventually
from tests.engine.wire import request, upgrade

WEBSOCKET = "EIO=4&transport=websocket"


@pytest.mark.parametrize("plain", [True, False])
@pytest.mark.parametrize("path", ["/engine.io", "/engine.io/"])
async def test_a_session_lives_under_both_forms_of_the_path(serve, plain, path):
    served = await serve(plain=plain, echo=True, cors_allowed_origins="*")
    assert (await served.ask(request("OPTIONS", POLLING, path=path, Origin="https://a.example"))).status == 204
    assert (await served.ask(upgrade(WEBSOCKET, path=path))).status == 101
    wire = await served.wire()
    assert (await wire.ask(request("GET", POLLING, path=path))).status == 200
    query = f"{POLLING}&sid={served.listener.last.session.id}"
    for _ in range(2):
        assert (await wire.ask(request("POST", query, b"4a", path=path))).body == b"ok"
        assert (await wire.ask(request("GET", query, path=path))).text == "4a"
    assert len(served.engine._state.idle_connections) == 1  # The fast path has it.
    sid = served.listener.last.session.id
    assert (await served.ask(upgrade(f"{WEBSOCKET}&sid={sid}", path=path))).status == 101


@pytest.mark.parametrize("path", ["/engine.iox", "/engine.io//", "//engine.io", "/engine", "/", "/ENGINE.IO/"])
async def test_another_path_is_not_the_endpoint(serve, path):
    served = await serve()
    assert (await served.ask(request("GET", POLLING, path=path))).status == 404
    assert (await served.ask(upgrade(WEBSOCKET, path=path))).status == 404


async def test_a_handshake_without_the_slash_skips_aiohttp(serve):
    served = await serve()
    wire = await served.wire()
    assert (await wire.ask(upgrade(WEBSOCKET, path="/engine.io"))).status == 101
    await eventually(lambda: served.engine.sockets)
    assert not served.runner.server.connections
