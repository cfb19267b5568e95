"""Under load, every event arrives once and in order, and two thousand clients leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import random

import aiohttp
import pytest

from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import eventually
from tests.sio.raw import Raw

EVENTS = 10_000
SEPARATOR = "\x1e"


class Counting(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.got = []

    @event("count", rate=None)
    async def count(self, client, number: int):
        self.got.append(number)
        if number % 100 == 0:
            await asyncio.sleep(0)
        return number

    @event("sync", rate=None)
    def sync(self, client, number: int):
        self.got.append(number)

    @event("relay", rate=None)
    async def relay(self, client, number: int):
        await client.broadcast.emit("relayed", number)


async def test_ten_thousand_events_at_once_are_handled_and_acknowledged_in_order(serve, raw):
    namespace = Counting()
    client = await raw((await serve(namespace)).url)
    await client.connect()
    sending = asyncio.ensure_future(client.send(*(f'2{number}["count",{number}]' for number in range(EVENTS))))
    acks = [await client.receive() for _ in range(EVENTS)]
    await sending
    assert namespace.got == list(range(EVENTS))
    assert acks == [f"3{number}[{number}]" for number in range(EVENTS)]


async def test_ten_thousand_events_in_one_post_are_handled_in_order(serve):
    namespace = Counting()
    served = await serve(namespace)
    async with aiohttp.ClientSession() as http:
        address = await poll_open(http, served.url)
        packets = [f'42["{"count" if number % 3 else "sync"}",{number}]' for number in range(EVENTS - 1)]
        async with http.post(address, data=SEPARATOR.join(packets)) as answer:
            assert (answer.status, await answer.text()) == (200, "ok")
        await eventually(lambda: len(namespace.got) == EVENTS - 1)
    assert namespace.got == list(range(EVENTS - 1))


async def test_more_packets_in_a_post_than_allowed_close_the_session(serve):
    namespace = Counting()
    served = await serve(namespace, max_packets=10)
    async with aiohttp.ClientSession() as http:
        address = await poll_open(http, served.url)
        async with http.post(address, data=SEPARATOR.join(['42["sync",1]'] * 10)) as answer:
            assert answer.status == 200
        async with http.post(address, data=SEPARATOR.join(['42["sync",1]'] * 11)) as answer:
            assert answer.status == 400
    await served.deserted()
    assert len(namespace.got) == 10
    assert served.server.metrics.rejections["payload"] == 1


async def poll_open(http, url):
    """The URL of a polling session that is connected to `/`."""
    address = f"{url}/socket.io/?EIO=4&transport=polling"
    async with http.get(address) as answer:
        sid = json.loads((await answer.text())[1:])["sid"]
    address += f"&sid={sid}"
    async with http.post(address, data="40") as answer:
        assert await answer.text() == "ok"
    async with http.get(address) as answer:
        assert (await answer.text()).startswith('40{"sid"')
    return address


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])
async def test_events_between_clients_stay_in_order_during_an_upgrade(serve, js, raw, transports):
    served = await serve(Counting())
    sender = await raw(served.url)
    await sender.connect()
    receiver = await js(served.url, transports=transports)
    await sender.send(*(f'2["relay",{number}]' for number in range(2000)))
    await receiver.next("relayed", where=lambda number: number == 1999)
    assert receiver.received("relayed") == [[number] for number in range(2000)]


# Two thousand clients


class Churning(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.here = 0

    async def on_connect(self, client):
        await client.join("all", f"room {len(client.id) % 7}")
        self.here += 1

    async def on_disconnecting(self, client, reason):
        await client.to("all").volatile.emit("left")

    async def on_disconnect(self, client, reason):
        self.here -= 1

    @event("act", rate=None)
    async def act(self, client, number: int):
        await client.join(f"own {number}")
        await asyncio.sleep(0)
        return number


CLIENTS = 2000


async def test_two_thousand_clients_leave_nothing_behind(serve):
    namespace = Churning()
    served = await serve(namespace, handler_timeout=10, max_connections=CLIENTS, max_connections_per_ip=CLIENTS)
    engine = served.server.engine
    limit = asyncio.Semaphore(100)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:

        async def live(number):
            """One life; it may end at any step, in any way."""
            chance = random.Random(number)
            async with limit:
                socket = await http.ws_connect(f"{served.url}/socket.io/?EIO=4&transport=websocket")
                client = await Raw(socket).opened()
                if chance.random() < 0.9:
                    await client.send("0")
                    if chance.random() < 0.9:
                        await client.receive()
                        await client.send(*(f'21["act",{step}]' for step in range(chance.randrange(3))))
                end = chance.random()
                if end < 0.2:
                    await client.send("1")
                elif end < 0.3:
                    await client.send('52-["act"]')
                if end < 0.8:
                    await client.close()
                else:
                    socket._response.connection.transport.abort()

        await asyncio.gather(*(live(number) for number in range(CLIENTS)))
    await served.deserted()
    server = served.server
    assert namespace.here == 0
    assert not server._tasks._running
    assert not server.rooms_of("/").leaving(namespace._all_clients._target)
    assert (
        server.connection_limiter.connections,
        server.connection_limiter.rejected,
        dict(server.connection_limiter.addresses),
    ) == (0, 0, {})
    assert not engine.sockets
    assert not engine._sessions.lingering
    await eventually(lambda: engine._sessions._websockets == 0)
    assert len(engine.wheel) == 0
