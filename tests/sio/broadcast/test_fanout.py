"""Several broadcasts in one iteration of the event loop."""

from __future__ import annotations

import asyncio
import json

import pytest

from rtserver.sio.namespace.namespace import Namespace, event


class Hall(Namespace, path="/"):
    auth = "none"

    @event("burst", rate=None)
    async def burst(self, client, count: int, size: int):
        for number in range(count):
            await self.emit("news", number, "x" * size)


def writes_of(namespace: Hall) -> list[bytes]:
    """The direct writes to the socket of the only client, from now on."""
    (client,) = namespace.clients.values()
    socket, writes = client.outbox.socket, []
    send = socket._send
    socket._send = client.outbox.send = lambda data: writes.append(data) or send(data)
    return writes


async def test_the_first_broadcast_is_sent_at_once_and_the_others_together(serve, raw):
    hall = Hall()
    served = await serve(hall)
    client = await raw(served.url)
    await client.connect()
    writes = writes_of(hall)
    for number in range(4):
        await hall.emit("news", number)
    assert [len(write) for write in writes] == [len(b'\x81\x0e42["news",0]')]
    for number in range(4):
        assert await client.receive() == f'2["news",{number}]'
    assert len(writes) == 2


async def test_an_event_for_one_client_does_not_overtake_corked_broadcasts(serve, raw):
    hall = Hall()
    served = await serve(hall)
    client = await raw(served.url)
    await client.connect()
    (one,) = hall.clients.values()
    for number in range(0, 9, 3):
        await hall.emit("news", number)
        await one.emit("news", number + 1)
        await hall.emit("news", number + 2)
    for number in range(9):
        assert await client.receive() == f'2["news",{number}]'


@pytest.mark.parametrize(("count", "size"), [(500, 10), (200, 70_000)])
async def test_a_burst_arrives_complete_and_in_order(serve, raw, count, size):
    served = await serve(Hall(), outbox_limit=50_000_000)
    clients = [await raw(served.url) for _ in range(3)]
    for client in clients:
        await client.connect()

    async def listen(client) -> None:
        for number in range(count):
            event = json.loads((await client.receive())[1:])
            assert event == ["news", number, "x" * size]

    await clients[0].send(f'2["burst",{count},{size}]')
    await asyncio.gather(*map(listen, clients))


async def test_a_client_that_leaves_during_a_burst_does_not_affect_others(serve, raw):
    hall = Hall()
    served = await serve(hall)
    leaving, staying = await raw(served.url), await raw(served.url)
    sid = await leaving.connect()
    await staying.connect()
    seen = asyncio.create_task(leaving.closed())
    await hall.emit("news", 1)
    await hall.emit("news", 2)
    await hall.clients[sid].disconnect(close=True)
    await hall.emit("news", 3)
    for number in (1, 2, 3):
        assert await staying.receive() == f'2["news",{number}]'
    assert await seen == ['2["news",1]', '2["news",2]', "1"]


async def test_broadcasts_inside_one_corked_block_are_sent_together(serve, raw):
    hall = Hall()
    served = await serve(hall)
    client = await raw(served.url)
    await client.connect()
    writes = writes_of(hall)
    for number in range(0, 8, 4):
        with served.server.engine.cork:
            for beside in range(4):
                await hall.emit("news", number + beside)
    assert len(writes) == 4
    for number in range(8):
        assert await client.receive() == f'2["news",{number}]'
