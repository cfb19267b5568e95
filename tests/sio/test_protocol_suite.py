"""Every case of Socket.IO's public test suite; those of Engine.IO are in tests/engine/test_protocol_suite.py.

Source: https://github.com/socketio/socket.io/tree/main/docs/socket.io-protocol (the cases, not the code).
"""

from __future__ import annotations

import asyncio
import json

import pytest

from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.raw import connect_packet

TWO = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
BYTES = [b"\x01\x02\x03", b"\x04\x05\x06"]
PATHS = pytest.mark.parametrize("path", ["/", "/custom"])


class Suite(Namespace, path="/"):
    """The namespace that the suite asks for."""

    auth = "none"

    async def on_connect(self, client):
        await client.emit("auth", client.handshake.auth or {})

    @event("message")
    async def message(self, client, *args):
        await client.emit("message-back", *args)

    @event("message-with-ack")
    async def message_with_ack(self, client, *args):
        return args


class Custom(Suite, path="/custom"):
    pass


@pytest.fixture
async def served(serve):
    return await serve(Suite(), Custom(), ping_interval=0.3, ping_timeout=0.2, connect_timeout=0.5)


@pytest.fixture
async def client(served, raw):
    """Connected to `/`, with its first event read."""
    client = await raw(served.url)
    await client.connect()
    assert await client.receive() == '2["auth",{}]'
    return client


@PATHS
@pytest.mark.parametrize("auth", [None, {"token": "123"}])
async def test_a_client_connects_to_a_namespace(served, raw, path, auth):
    client = await raw(served.url)
    await client.send(connect_packet(path, auth))
    head = "" if path == "/" else "/custom,"
    answer = await client.receive()
    assert answer.startswith(f"0{head}{{")
    handshake = json.loads(answer.removeprefix(f"0{head}"))
    assert list(handshake) == ["sid"]
    assert isinstance(handshake["sid"], str)
    assert await client.receive() == f'2{head}["auth",{json.dumps(auth or {}, separators=(",", ":"))}]'


async def test_an_unknown_namespace_is_refused(served, raw):
    client = await raw(served.url)
    await client.send("0/random")
    assert await client.receive() == '4/random,{"message":"Invalid namespace"}'


async def test_an_invalid_handshake_closes_the_connection(served, raw):
    client = await raw(served.url)
    await client.send("abc")
    assert await client.receive() is None


async def test_a_connection_without_handshake_is_closed(served, raw):
    client = await raw(served.url)
    assert await client.receive() is None


async def test_a_client_that_leaves_the_main_namespace_stays_connected(client):
    await client.send("1")
    ping = await client._socket.receive(5)
    assert ping.data == "2"


async def test_a_client_that_leaves_a_namespace_stays_in_the_other(client):
    await client.connect("/custom")
    assert await client.receive() == '2/custom,["auth",{}]'
    await client.send("1/custom", '2["message","message to main namespace"]')
    assert await client.receive() == '2["message-back","message to main namespace"]'


async def test_a_text_event_arrives(client):
    await client.send('2["message",1,"2",{"3":[true]}]')
    assert await client.receive() == '2["message-back",1,"2",{"3":[true]}]'


async def test_a_binary_event_arrives(client):
    await client.send(f'52-["message",{TWO}]', *BYTES)
    assert [await client.receive() for _ in range(3)] == [f'52-["message-back",{TWO}]', *BYTES]


async def test_a_text_event_is_acked(client):
    await client.send('2456["message-with-ack",1,"2",{"3":[false]}]')
    assert await client.receive() == '3456[1,"2",{"3":[false]}]'


async def test_a_binary_event_is_acked(client):
    await client.send(f'52-789["message-with-ack",{TWO}]', *BYTES)
    assert [await client.receive() for _ in range(3)] == [f"62-789[{TWO}]", *BYTES]


@pytest.mark.parametrize("packet", ["abc", "2{}", '2abc["message-with-ack",1,"2",{"3":[false]}]'])
async def test_an_invalid_packet_closes_the_connection(client, packet):
    await client.send(packet)
    async with asyncio.timeout(5):
        assert await client.receive() is None
