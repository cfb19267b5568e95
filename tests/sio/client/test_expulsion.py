"""Expulsion of a user: whatever the user's clients had asked for has ended when it returns."""

import asyncio

from rtserver.sio.namespace.namespace import Namespace, event
from tests.sio.conftest import Tokens, eventually


class Slow(Namespace, path="/slow"):
    """`write` waits for the gate, and then writes."""

    def __init__(self):
        self.gate = asyncio.Event()
        self.begun = 0
        self.written = []

    @event("write")
    async def write(self, client, text):
        self.begun += 1
        await self.gate.wait()
        self.written.append((client.user, text, client.expelled))


async def test_running_handlers_are_waited_for_and_waiting_events_dropped(serve, raw):
    served = await serve(slow := Slow(), authenticator=Tokens())
    phone, tablet, bob = await raw(served.url), await raw(served.url), await raw(served.url)
    for client, user in ((phone, "eve"), (tablet, "eve"), (bob, "bob")):
        await client.connect("/slow", {"token": user})
        await client.send('2/slow,["write","first"]', '2/slow,["write","second"]')
    await eventually(lambda: slow.begun == 3)
    await tablet.close()  # gone by itself, with an event that waits
    await eventually(lambda: served.server.metrics.connections["/slow"] == 2)
    expelling = asyncio.create_task(served.server.expel("eve", 10))
    assert await phone.receive() == "1/slow,"
    assert not expelling.done()
    slow.gate.set()
    assert await expelling
    await eventually(lambda: len(slow.written) == 4)
    assert sorted(slow.written) == [
        ("bob", "first", False), ("bob", "second", False), ("eve", "first", True), ("eve", "first", True)
    ]  # fmt: skip
    assert await served.server.expel("eve", 10), "nothing is left of eve"
    for client in (phone, bob):
        await client.close()
    await served.deserted()
    assert not list(served.server._unfinished)


async def test_a_handler_that_does_not_end_is_reported(serve, raw):
    served = await serve(slow := Slow(), authenticator=Tokens())
    eve = await raw(served.url)
    await eve.connect("/slow", {"token": "eve"})
    await eve.send('2/slow,["write","first"]')
    await eventually(lambda: slow.begun == 1)
    assert not await served.server.expel("eve", 0.01)
    assert not await served.server.expel("eve", 0.01), "it is still known"
    slow.gate.set()
    assert await served.server.expel("eve", 10)
    await eve.close()
    await served.deserted()
