"""Dynamic namespaces, and the departure of their clients."""

from __future__ import annotations

import asyncio
import re

import pytest

from rtserver.errors import Refused
from rtserver.sio.namespace.namespace import Namespace, event, server_event
from tests.sio.conftest import eventually


class Tenants(Namespace):
    """One namespace for each tenant in `known`."""

    auth = "none"

    def __init__(self):
        self.known = {"/acme"}
        self.asked = []

    async def path(self, name, auth):
        await asyncio.sleep(0)
        self.asked.append((name, auth))
        return name in self.known

    @event("say")
    async def say(self, client, text: str):
        await self.of(client.namespace_name).emit("said", text)

    @server_event("count")
    async def count(self):
        return 1


async def test_a_method_decides_which_names_are_namespaces(serve, raw):
    tenants = Tenants()
    served = await serve(tenants)
    client = await raw(served.url)
    assert await client.refused("/nobody", {"a": 1}) == {"message": "Invalid namespace"}
    tenants.known.add("/nobody")
    await client.connect("/nobody")
    await client.connect("/acme")
    assert tenants.asked == [("/nobody", {"a": 1}), ("/nobody", None), ("/acme", None)]
    await client.send('2/acme,["say","hi"]')
    assert await client.receive() == '2/acme,["said","hi"]'
    assert sorted(served.server.open_namespaces()) == ["/acme", "/nobody"]
    assert served.server.metrics.connections == {"Tenants": 2}
    # The function is called each time: a removed tenant admits no further client.
    tenants.known.discard("/acme")
    other = await raw(served.url)
    assert await other.refused("/acme") == {"message": "Invalid namespace"}
    assert await served.server.handle_server_event("/acme", ["count"]) == 1
    await client.close()
    await other.close()
    await served.deserted()
    assert served.server.open_namespaces() == []
    with pytest.raises(LookupError):
        await served.server.handle_server_event("/acme", ["count"])


@pytest.mark.parametrize("path", [lambda name, auth: name.startswith("/t-"), re.compile("/t-.*")])
async def test_the_first_dynamic_namespace_that_accepts_a_name_handles_it(serve, raw, path):
    class First(Tenants, path=path):
        async def on_connect(self, client):
            await client.emit("first")

    class Second(Tenants, path=lambda name, auth: True):
        async def on_connect(self, client):
            await client.emit("second")

    client = await raw((await serve(First(), Second())).url)
    for name, taker in {"/t-1": "first", "/other": "second"}.items():
        await client.connect(name)
        assert await client.receive() == f'2{name},["{taker}"]'


async def test_a_refused_client_leaves_no_namespace_behind(serve, raw):
    class Closed(Tenants, path=lambda name, auth: True):
        async def on_connect(self, client):
            await client.join("lobby")
            raise Refused("Closed")

    served = await serve(Closed())
    client = await raw(served.url)
    for number in range(20):
        assert await client.refused(f"/{number}") == {"message": "Closed"}
    assert served.server.open_namespaces() == []


async def test_a_path_function_may_refuse_and_a_failing_one_admits_no_client(serve, raw):
    def path(name, auth):
        if name == "/bug":
            raise RuntimeError
        raise Refused("Not here", code="moved")

    class Odd(Tenants, path=path):
        pass

    client = await raw((await serve(Odd())).url)
    assert await client.refused("/x") == {"message": "Not here", "data": {"code": "moved"}}
    assert (await client.refused("/bug"))["data"]["code"] == "internal"


# Departure


class Leaving(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.story = []
        self.go_on = asyncio.Event()

    async def on_connect(self, client):
        await client.join("room")

    async def on_disconnecting(self, client, reason):
        sockets = await self.to("room").fetch_sockets()
        self.story.append(("disconnecting", reason, sorted(client.rooms), len(sockets), len(self.clients)))
        await client.to(*client.rooms).emit("left", client.id)
        await client.emit("bye")
        await self.go_on.wait()

    async def on_disconnect(self, client, reason):
        sockets = await self.to("room").fetch_sockets()
        self.story.append(("disconnect", reason, sorted(client.rooms), len(sockets), len(self.clients)))

    @event("wait")
    async def wait(self, client):
        await self.go_on.wait()
        self.story.append("handled")

    @event("leave")
    async def leave(self, client):
        await client.disconnect()


@pytest.fixture
async def leaving(serve, raw):
    namespace = Leaving()
    namespace.served = await serve(namespace)
    namespace.one, namespace.two = await raw(namespace.served.url), await raw(namespace.served.url)
    namespace.ids = [await client.connect() for client in (namespace.one, namespace.two)]
    return namespace


@pytest.mark.parametrize(
    ("how", "reason"),
    [(lambda c: c.send("1"), "client disconnect"), (lambda c: c.close(), "transport close"),
     (lambda c: c.send('2["leave"]'), "server disconnect")],
)  # fmt: skip
async def test_a_leaving_client_is_still_in_its_rooms_and_receives_nothing(leaving, how, reason):
    await how(leaving.one)
    assert await leaving.two.receive() == f'2["left","{leaving.ids[0]}"]'
    assert leaving.story == [("disconnecting", reason, ["room"], 2, 1)]
    assert (await leaving.all_rooms()) == {"room", *leaving.ids}
    await leaving.emit("news")
    await leaving.to(leaving.ids[0]).emit("private")
    assert [socket.id for socket in await leaving.to(leaving.ids[0]).fetch_sockets()] == [leaving.ids[0]]
    assert [socket.id for socket in await leaving.except_(leaving.ids[0]).fetch_sockets()] == [leaving.ids[1]]
    leaving.go_on.set()
    await eventually(lambda: len(leaving.story) == 2)
    assert leaving.story[1:] == [("disconnect", reason, ["room"], 1, 1)]
    assert await leaving.two.receive() == '2["news"]'
    if reason == "server disconnect":
        assert await leaving.one.receive() == "1"
    if reason != "transport close":
        # Only the disconnect arrived.
        await leaving.one.connect()
    await leaving.one.close()
    await leaving.two.close()
    await leaving.served.deserted()


async def test_on_disconnecting_does_not_wait_for_handlers_and_on_disconnect_waits_for_it(leaving):
    await leaving.one.send('2["wait"]', "1")
    assert await leaving.two.receive() == f'2["left","{leaving.ids[0]}"]'
    leaving.go_on.set()
    await eventually(lambda: len(leaving.story) == 3)
    steps = [step[0] if step != "handled" else step for step in leaving.story]
    assert [step for step in steps if step != "handled"] == ["disconnecting", "disconnect"]


async def test_an_on_disconnecting_that_fails_or_hangs_does_not_keep_the_client(serve, raw):
    class Failing(Leaving, path="/failing"):
        async def on_disconnecting(self, client, reason):
            raise RuntimeError

    served = await serve(Leaving(), Failing(), handler_timeout=0.1)
    for name in ("/", "/failing"):
        client = await raw(served.url)
        await client.connect(name)
        await client.close()
    await served.deserted()


async def test_a_server_that_stops_runs_on_disconnecting_for_every_client(leaving):
    leaving.go_on.set()
    await leaving.served.server.stop()
    assert sorted(step[0] for step in leaving.story) == ["disconnect", "disconnect", "disconnecting", "disconnecting"]
