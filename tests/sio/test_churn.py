"""Many clients connect and leave at random, and leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import re

from rtserver.errors import Refused
from rtserver.sio.namespace.namespace import Namespace, event

CLIENTS = 200


class Churn(Namespace, path=re.compile(r"/churn-[0-9]")):
    auth = "none"

    def __init__(self):
        self.balance = 0

    async def on_connect(self, client):
        await client.join("lobby")
        await asyncio.sleep(0)
        if (client.handshake.auth or {}).get("refuse"):
            raise Refused("No")
        self.balance += 1

    async def on_disconnect(self, client, reason):
        await asyncio.sleep(0)
        self.balance -= 1

    @event("join", rate=None)
    async def join(self, client, room: str):
        await client.join(room)
        await asyncio.sleep(0)
        await client.to(room).emit("joined", client.id)
        return sorted(client.rooms)

    @event("leave", rate=None)
    async def leave(self, client, room: str):
        await client.leave(room)

    @event("ask", rate=None)
    async def ask(self, client, room: str):
        return await self.of(client.namespace_name).to(room).timeout(0.5).emit_with_ack("question")


async def live(open_raw, url, seed):
    """One client, which may leave at any step."""
    chance = random.Random(seed)
    client = await open_raw(url)
    namespaces = chance.sample([f"/churn-{n}" for n in range(5)], 2)
    for namespace in namespaces:
        auth = '{"refuse":true}' if chance.random() < 0.2 else ""
        await client.send(f"0{namespace},{auth}")
        if chance.random() < 0.2:
            break
        await client.receive()
        if auth:
            continue
        for _ in range(chance.randrange(6)):
            room = chance.choice("abc")
            what = chance.choice(["join", "join", "leave", "ask"])
            await client.send(f'2{namespace},["{what}","{room}"]')
        if chance.random() < 0.3:
            await client.send(f"1{namespace},")
    if chance.random() < 0.2:
        await client.send('2["connect"]')
    await client.close()


async def test_200_clients_leave_nothing_behind(serve, raw):
    namespace = Churn()
    served = await serve(namespace)
    limit = asyncio.Semaphore(40)

    async def one(seed):
        async with limit:
            await live(raw, served.url, seed)

    await asyncio.gather(*(one(seed) for seed in range(CLIENTS)))
    await served.deserted()
    server = served.server
    assert server.open_namespaces() == []
    assert namespace.balance == 0
    assert not [task for task in server._tasks._running if not task.done()]
    assert server.metrics.connections == {}


async def test_a_server_that_stops_runs_every_disconnect_handler(serve, raw):
    namespace = Churn()
    served = await serve(namespace)
    clients = [await raw(served.url) for _ in range(10)]
    for client in clients:
        await client.connect("/churn-1")
    await served.server.stop()
    for client in clients:
        assert await client.closed() == []
    assert namespace.balance == 0
    await served.deserted()
