"""Subprotocols with the official client, which closes a WebSocket whose offer is not answered."""

from __future__ import annotations

import pytest

from tests.sio.conftest import eventually


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
async def test_a_client_that_offers_subprotocols_connects(serve, js, transports):
    served = await serve()
    client = await js(served.url, transports=transports, protocols=["first", "second"])
    await eventually(lambda: client.transport == "websocket")
    assert client.is_connected


async def test_the_option_of_the_server_chooses(serve, js):
    offers = []

    def choose(offered, request):
        offers.append((offered, request.query["transport"]))
        return offered[-1]

    served = await serve(handle_protocols=choose)
    client = await js(served.url, transports=["websocket"], protocols=["first", "second"])
    assert client.is_connected
    assert offers == [(["first", "second"], "websocket")]
