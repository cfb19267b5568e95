"""Slow clients: large events reach every client that takes them; what waits for those that do not is bounded."""

from __future__ import annotations

import asyncio
import json
import re
import socket

import aiohttp
import pytest

from rtserver.errors import EventError
from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import eventually

LIMIT = 1_048_576
TRANSPORTS = pytest.mark.parametrize("transports", [["polling"], ["websocket"], ["polling", "websocket"]])


class Hall(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.greeting = []

    async def on_connect(self, client):
        for args in self.greeting:
            await client.emit(*args)

    @event("ask")
    async def ask(self, client, count: int, size: int):
        for number in range(count):
            await client.emit("big", number, "x" * size)
        await client.emit("done")

    @event("history")
    async def history(self, client, size: int):
        await client.emit("message", "before")
        return "x" * size

    @event("photos")
    async def photos(self, client, count: int, size: int):
        for number in range(count):
            await client.emit("photo", number, bytes(size))
        await client.emit("done")


@pytest.fixture
async def hall(serve):
    hall = Hall()
    hall.served = await serve(hall)
    yield hall
    assert hall.served.server.metrics.slow_clients == 0


@TRANSPORTS
async def test_large_events_in_one_turn_arrive(hall, js, transports):
    client = await js(hall.served.url, transports=transports, reconnection=False)
    for count, size in [(1, LIMIT - 6), (5, 300_000), (1, 3 * LIMIT), (6, 1_000_000), (5_000, 10)]:
        await client.emit("ask", count, size)
        await client.next("done")
        got = client.received("big")[-count:]
        assert [number for number, _ in got] == list(range(count))
        assert {len(text) for _, text in got} == {size}
    assert client.is_connected


@TRANSPORTS
async def test_large_events_of_a_connect_handler_arrive(hall, js, transports):
    hall.greeting = [("big", "x" * (LIMIT - 6)), ("big", "y" * LIMIT), ("done",)]
    client = await js(hall.served.url, transports=transports, reconnection=False)
    await client.next("done")
    assert [len(text) for (text,) in client.received("big")] == [LIMIT - 6, LIMIT]
    assert client.is_connected


@TRANSPORTS
async def test_a_large_ack_and_messages_in_the_gap_between_two_polls_arrive(hall, js, transports):
    client = await js(hall.served.url, transports=transports, reconnection=False)
    asking = asyncio.create_task(client.call("history", 1_800_000))
    await client.next("message")
    for number in range(10):
        await hall.emit("message", number)
        await asyncio.sleep(0)
    assert len(await asking) == 1_800_000
    await client.next("message", where=lambda number: number == 9)
    assert client.is_connected


@TRANSPORTS
async def test_large_binary_events_arrive(hall, js, transports):
    client = await js(hall.served.url, transports=transports, reconnection=False)
    await client.emit("photos", 4, 500_000)
    await client.next("done")
    assert [len(photo) for _, photo in client.received("photo")] == [500_000] * 4


async def test_a_broadcast_in_the_gap_between_polls_reaches_everybody(hall, js):
    clients = [await js(hall.served.url, transports=["polling"], reconnection=False) for _ in range(3)]
    for number in range(10):
        await hall.emit("big", number, "x" * 300_000)
    for client in clients:
        await client.next("big", where=lambda number, _: number == 9)
        assert [number for number, _ in client.received("big")] == list(range(10))


async def unread(served, polling):
    """A client that is connected and takes nothing any more."""
    _, writer = await asyncio.open_connection(sock=await small(served), limit=1024)
    if not polling:
        writer.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            b"\x81\x82\0\0\0\x0040"
        )
        return writer
    async with aiohttp.ClientSession() as http:
        address = f"{served.url}/socket.io/?EIO=4&transport=polling"
        async with http.get(address) as answer:
            sid = json.loads((await answer.text())[1:])["sid"]
        await (await http.post(f"{address}&sid={sid}", data="40")).read()
    return writer


async def small(served):
    """A connection whose buffer on the client's side takes little."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", int(served.url.rpartition(":")[2])))
    return sock


async def test_many_clients_that_take_nothing_have_a_bound_together(serve, js):
    """Healthy clients of both transports receive everything meanwhile."""
    hall, total = Hall(), 20_000_000
    served = await serve(hall, outbox_total=total)
    metrics, backpressure = served.server.metrics, served.server.engine._state.backpressure
    flood = [await unread(served, polling=bool(number % 2)) for number in range(60)]
    await eventually(lambda: len(hall.clients) == 60)
    for connection in served.server.connections.values():
        if (websocket := connection.engine_session.socket) is not None:
            websocket._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    well = [await js(served.url, transports=[transport], reconnection=False) for transport in ("polling", "websocket")]
    for number in range(30):
        await hall.emit("big", number, "x" * 100_000)
        assert backpressure.total <= total
        for client in well:
            await client.next("big", where=lambda at, _, number=number: at == number)
    assert metrics.slow_clients >= 10
    assert metrics.slow_clients + len(hall.clients) == 62
    for client in well:
        assert client.is_connected
        assert [number for number, _ in client.received("big")] == list(range(30))
    for writer in flood:
        writer.transport.abort()


async def test_volatile_events_are_dropped_before_anybody_is_closed(serve):
    hall = Hall()
    served = await serve(hall, outbox_total=1_000_000, outbox_limit=100_000)
    flood = [await unread(served, polling=bool(number % 2)) for number in range(20)]
    await eventually(lambda: len(hall.clients) == 20)
    for _ in range(400):
        await hall.volatile.emit("position", "x" * 20_000)
        await asyncio.sleep(0)
    assert served.server.metrics.drops["volatile"]
    assert served.server.metrics.slow_clients == 0
    assert len(hall.clients) == 20
    for writer in flood:
        writer.transport.abort()


class Answers(Namespace, path="/"):
    """Handlers with large answers, each written in another way."""

    auth = "none"

    def __init__(self):
        self.asked = 0

    @event("waits")
    async def waits(self, client, size: int):
        await asyncio.sleep(0)
        return self._answer(size)

    @event("eager")
    async def eager(self, client, size: int):
        return self._answer(size)

    @event("plain")
    def plain(self, client, size: int):
        return self._answer(size)

    @event("binary")
    async def binary(self, client, size: int):
        self._answer(0)
        return bytes(size)

    @event("fails")
    async def fails(self, client, size: int):
        self.asked += 1
        raise EventError(code="sold_out", message="x" * size)

    def _answer(self, size):
        self.asked += 1
        return "x" * size


ASKED = 60
HANDLERS = pytest.mark.parametrize("name", ["waits", "eager", "plain", "binary", "fails"])


async def polling(url):
    """A polling session that has joined: its address, and a function that sends packets and takes nothing."""
    http = aiohttp.ClientSession()
    address = f"{url}/socket.io/?EIO=4&transport=polling"
    async with http.get(address) as answer:
        sid = json.loads((await answer.text())[1:])["sid"]
    address = f"{address}&sid={sid}"

    async def post(*packets):
        async with http.post(address, data="\x1e".join(packets)) as answer:
            assert answer.status == 200

    async def get():
        async with http.get(address) as answer:
            return (await answer.text()).split("\x1e")

    await post("40")
    await get()
    return http, post, get


@HANDLERS
async def test_a_polling_client_that_does_not_poll_has_few_answers_waiting(serve, name):
    namespace = Answers()
    served = await serve(namespace)
    http, post, get = await polling(served.url)
    async with http:
        await post(*(f'42{number}["{name}",100000]' for number in range(ASKED)))
        await eventually(lambda: namespace.asked)
        for _ in range(20):
            await asyncio.sleep(0)
        assert namespace.asked <= 2
        assert served.server.engine._state.backpressure.total <= 250_000
        acks = []
        while len(acks) < ASKED:
            acks += re.findall(r"^4(?:3|61-)(\d+)\[", "\n".join(await get()), re.MULTILINE)
        assert [int(id) for id in acks] == [*range(ASKED)]
    assert namespace.asked == ASKED


@HANDLERS
async def test_a_websocket_that_does_not_read_has_few_answers_waiting(serve, name):
    namespace = Answers()
    served = await serve(namespace, outbox_limit=100_000_000)
    writer = await unread(served, polling=False)
    await eventually(lambda: namespace.clients)
    (client,) = namespace.clients.values()
    client.outbox.socket._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    packets = [f'42{number}["{name}",100000]'.encode() for number in range(ASKED)]
    writer.write(b"".join(bytes((0x81, 0x80 | len(packet))) + bytes(4) + packet for packet in packets))
    await eventually(lambda: namespace.asked and client.outbox.send is None)
    for _ in range(20):
        await asyncio.sleep(0)
    assert namespace.asked <= 3
    assert served.server.engine._state.backpressure.total <= 350_000
    writer.close()
    await served.deserted()


@TRANSPORTS
async def test_a_client_that_reads_gets_all_answers_in_order(serve, js, transports):
    served = await serve(Answers())
    client = await js(served.url, transports=transports, reconnection=False)
    answers = await asyncio.gather(*(client.call("waits", 200_000 + number) for number in range(ASKED)))
    assert [len(answer) for answer in answers] == [200_000 + number for number in range(ASKED)]
    assert served.server.metrics.slow_clients == 0


async def test_a_client_that_leaves_with_unread_answers_leaves_nothing_behind(serve):
    namespace = Answers()
    served = await serve(namespace)
    http, post, _ = await polling(served.url)
    async with http:
        await post(*(f'42{number}["waits",100000]' for number in range(5)))
        await eventually(lambda: namespace.asked)
        await post("1")
    await served.deserted()
