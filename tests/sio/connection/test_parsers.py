"""The msgpack parser with the official clients that support it: nothing else differs."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime

import msgpack
import pytest

from rtserver.errors import Refused
from rtserver.sio.namespace.namespace import Namespace, event
from rtserver.sio.server import Server

PHOTO = bytes(range(256))


class Room(Namespace, path="/room"):
    auth = "none"

    async def on_connect(self, client):
        if (client.handshake.auth or {}).get("refuse"):
            raise Refused("No", code="closed", at=datetime(2024, 1, 1, tzinfo=UTC))
        await client.join("all")
        await client.emit("hello", client.handshake.auth)

    @event("echo")
    async def echo(self, client, *args):
        return args

    @event("say")
    async def say(self, client, *args):
        await self.to("all").emit("said", *args)

    @event("ask")
    async def ask(self, client, question):
        return await client.emit_with_ack("question", question, PHOTO)

    @event("ask all")
    async def ask_all(self, client, question):
        return await self.to("all").timeout(5).emit_with_ack("question", question)

    @event("leave")
    async def leave(self, client):
        await client.disconnect()


@pytest.fixture
async def served(serve):
    return await serve(Room(), serializer="msgpack")


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_the_javascript_client(served, js, transports):
    client = await js(served.url, "/room", parser="msgpack", transports=transports, auth={"name": "ada"})
    assert await client.next("hello") == [{"name": "ada"}]
    assert await client.call_all("echo", 1, "zwei", {"drei": [PHOTO, None, 1.5]}) == [
        1, "zwei", {"drei": [PHOTO, None, 1.5]},
    ]  # fmt: skip
    await client.emit("say", PHOTO, "é" * 100_000)
    assert await client.next("said") == [PHOTO, "é" * 100_000]
    await client.answer("question", {"answer": PHOTO})
    assert await client.call("ask", "why") == {"answer": PHOTO}
    assert await client.call("ask all", "why") == [{"answer": PHOTO}]
    assert (await client.call("nothing"))["error"]["code"] == "unknown_event"
    await client.emit("leave")
    assert await client.disconnected() == "io server disconnect"
    await served.deserted()


SIZES = (0, 1, 2, 4, 8, 16, 17, 255, 256, 70_000)
KINDS = (None, "ArrayBuffer", "Uint8Array", "DataView", "Float64Array", "Int16Array")
BUFFERS = [
    (kind, content)
    for kind in KINDS
    for size in SIZES
    for content in ({bytes(size), bytes([7, 0xD7, *range(254)] * (size // 256 + 1))[:size]})
    if not (kind == "Float64Array" and size % 8) and not (kind == "Int16Array" and size % 2)
    if size < 70_000 or kind in (None, "ArrayBuffer")
]


def given_to_javascript(kind, content):
    encoded = base64.b64encode(content).decode()
    return {"$bytes": encoded} if kind is None else {"$bytes": encoded, "as": kind}


@pytest.mark.parametrize("transports", [["websocket"], ["polling"]])
async def test_buffers_of_every_kind_and_size_arrive_as_their_bytes(served, js, transports):
    client = await js(served.url, "/room", parser="msgpack", transports=transports)
    sent = [given_to_javascript(kind, content) for kind, content in BUFFERS]
    assert await client.call_all("echo", *sent) == [content for _, content in BUFFERS]
    for value, (_, content) in zip(sent[:40], BUFFERS, strict=False):
        assert await client.call("echo", {"deep": [value]}) == {"deep": [content]}


async def test_dates_and_undefined_arrive_as_by_json(served, js):
    client = await js(served.url, "/room", parser="msgpack")
    dates = {
        0: "1970-01-01T00:00:00.000Z",
        1704067200123: "2024-01-01T00:00:00.123Z",
        -62_135_596_800_001: "0000-12-31T23:59:59.999Z",
        253_402_300_800_000: "+010000-01-01T00:00:00.000Z",
        -8_640_000_000_000_000: "-271821-04-20T00:00:00.000Z",
    }
    undefined, zero = {"$undefined": True}, given_to_javascript("ArrayBuffer", bytes(8))
    sent = [value for moment in dates for value in ({"$date": moment}, undefined, zero)]
    assert await client.call_all("echo", *sent) == [
        value for text in dates.values() for value in (text, None, bytes(8))
    ]  # fmt: skip


async def test_the_javascript_client_is_refused(served, js):
    client = await js(served.url, "/room", parser="msgpack", auth={"refuse": True}, wait=False)
    assert await client.connect_error() == {
        "message": "No", "data": {"code": "closed", "at": "2024-01-01T00:00:00Z"},
    }  # fmt: skip
    client = await js(served.url, "/nowhere", parser="msgpack", wait=False)
    assert await client.connect_error() == {"message": "Invalid namespace"}


async def test_the_python_client(served):
    import socketio

    said = asyncio.Queue()
    async with socketio.AsyncSimpleClient(serializer="msgpack") as client:
        await client.connect(served.url, namespace="/room", auth={"name": "ada"})
        assert await client.receive(5) == ["hello", {"name": "ada"}]
        assert await client.call("echo", ({"photo": PHOTO}, 2)) == ({"photo": PHOTO}, 2)
        await client.emit("say", PHOTO)
        assert await client.receive(5) == ["said", PHOTO]
    assert said.empty()
    await served.deserted()


def test_there_are_two_serializers():
    with pytest.raises(ValueError, match="msgpack"):
        Server(serializer="pickle")


@pytest.mark.parametrize(
    "message",
    ["40/room,", '42["echo"]', b"", b"\xc1", msgpack.packb({"type": 2, "nsp": "/room"}),
     msgpack.packb({"type": 0, "nsp": "/room"}), msgpack.packb({"type": 2, "nsp": "/never", "data": ["a"]}),
     msgpack.packb({"type": 2, "nsp": "/room", "data": ["disconnect"]})],
)  # fmt: skip
async def test_a_packet_that_breaks_the_protocol_closes_the_connection(served, raw, message):
    client = await raw(served.url)
    await client.engine_send(msgpack.packb({"type": 0, "nsp": "/room"}))
    connected = msgpack.unpackb(await client.receive())
    assert connected == {"type": 0, "nsp": "/room", "data": {"sid": connected["data"]["sid"]}}
    assert msgpack.unpackb(await client.receive()) == {"type": 2, "nsp": "/room", "data": ["hello", None]}
    await client.engine_send(message)
    assert await client.closed() == []
    await served.deserted()


@pytest.mark.parametrize(
    "fields",
    [{"type": 3, "data": ["x"]}, {"type": 3, "data": ["x"], "id": 2**63}, {"type": 2, "data": []},
     {"type": 2, "data": [{}], "id": 7}, {"type": 2, "data": [None]}],
)  # fmt: skip
async def test_a_packet_without_effect_leaves_the_connection_open(served, raw, fields):
    client = await raw(served.url)
    await client.engine_send(msgpack.packb({"type": 0, "nsp": "/room"}))
    await client.receive()
    await client.receive()
    await client.engine_send(msgpack.packb({**fields, "nsp": "/room"}))
    await client.engine_send(msgpack.packb({"type": 2, "nsp": "/room", "data": ["echo", 1], "id": 2**60}))
    answer = {"type": 3, "nsp": "/room", "data": [1], "id": 2**60}
    assert msgpack.unpackb(await client.receive()) == answer
