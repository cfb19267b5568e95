"""`Namespace` classes, as applications use them."""

from __future__ import annotations

import re

import pytest

from rtserver.errors import TooLarge
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.namespace.namespace import Namespace, event, server_event
from tests.sio.conftest import eventually


class Base(Namespace, path="/base"):
    auth = "none"

    @event("hello")
    async def hello(self, client, name: str = "nobody"):
        return f"hello {name}"

    @event("base")
    async def base(self, client):
        return "base"

    @event("*")
    async def rest(self, client, name, *args):
        return name, *args


class Derived(Base, path="/derived"):
    async def hello(self, client, name: str = "nobody"):
        return f"derived: {await super().hello(client, name)}"

    @event("own")
    async def own(self, client):
        return sorted(client.rooms), client.namespace is self, client.namespace_name


async def test_a_subclass_can_override_and_add_handlers(serve, raw):
    served = await serve(Base(), Derived())
    client = await raw(served.url)
    await client.connect("/base")
    await client.connect("/derived")
    assert await client.call("/base", "hello", "ann") == ["hello ann"]
    assert await client.call("/derived", "hello", "ann") == ["derived: hello ann"]
    assert await client.call("/derived", "base") == ["base"]
    assert await client.call("/derived", "own") == [[], True, "/derived"]


async def test_the_catch_all_gets_events_without_a_handler(serve, raw):
    served = await serve(Base())
    client = await raw(served.url)
    await client.connect("/base")
    assert await client.call("/base", "anything", 1, {"a": 2}) == ["anything", 1, {"a": 2}]
    assert await client.call("/base", "own") == ["own"]
    assert await client.call("/base", 7, "x") == [7, "x"]
    # Sent by a client, "*" is an event like any other.
    assert await client.call("/base", "*", "x") == ["*", "x"]
    assert await client.call("/base", "hello") == ["hello nobody"]


class Tenant(Namespace, path=re.compile(r"/tenant-(\d+)")):
    auth = "none"

    @event("shout")
    async def shout(self, client, text: str):
        await self.of(client.namespace_name).emit("heard", text)


async def test_a_pattern_opens_namespaces_and_closes_empty_ones(serve, raw):
    namespace = Tenant()
    changes = []

    class Watching(Adapter):
        def namespace_added(self, nsp):
            changes.append(f"+{nsp}")

        def namespace_removed(self, nsp):
            changes.append(f"-{nsp}")

    served = await serve(namespace, adapter=Watching())
    one, two = await raw(served.url), await raw(served.url)
    await one.connect("/tenant-1")
    await two.connect("/tenant-2")
    await one.send('2/tenant-1,["shout","hi"]')
    assert await one.receive() == '2/tenant-1,["heard","hi"]'
    await two.send('2/tenant-2,["shout","ho"]')
    assert await two.receive() == '2/tenant-2,["heard","ho"]'
    assert await one.refused("/tenant-x") == {"message": "Invalid namespace"}
    assert await one.refused("/tenant-1/more") == {"message": "Invalid namespace"}
    assert await one.refused(r"/tenant-(\d+)") == {"message": "Invalid namespace"}
    await one.close()
    await two.send("1/tenant-2,")
    await eventually(lambda: not served.server.open_namespaces())
    assert changes == ["+/tenant-1", "+/tenant-2", "-/tenant-2", "-/tenant-1"] or sorted(changes) == [
        "+/tenant-1", "+/tenant-2", "-/tenant-1", "-/tenant-2",
    ]  # fmt: skip


async def test_using_a_client_that_is_gone_opens_no_namespace_again(serve, raw):
    served = await serve(Tenant())
    session = await raw(served.url)
    await session.connect("/tenant-1")
    (connection,) = served.server.connections.values()
    (client,) = connection.clients
    await session.close()
    await served.deserted()
    await client.join("x")
    await client.leave("x")
    await client.emit("x")
    assert served.server.open_namespaces() == []


async def test_a_dynamic_namespace_explains_how_to_address_its_clients(serve):
    namespace = Tenant()
    await serve(namespace)
    for use in (lambda: namespace.to("x"), lambda: namespace.clients, lambda: namespace.local):
        with pytest.raises(TypeError, match="dynamic"):
            use()
    with pytest.raises(TypeError, match="dynamic"):
        await namespace.server_side_emit("x")


async def test_a_plain_path_takes_precedence_over_a_pattern(serve, raw):
    class Special(Namespace, path="/tenant-0"):
        auth = "none"

        @event("who")
        async def who(self, client):
            return "special"

    served = await serve(Tenant(), Special())
    client = await raw(served.url)
    await client.connect("/tenant-0")
    assert await client.call("/tenant-0", "who") == ["special"]


class Servers(Namespace, path="/servers"):
    auth = "none"

    @server_event("sum")
    async def sum(self, a, b):
        return a + b

    @server_event("sync")
    def sync(self):
        return "sync"

    @server_event("fails")
    async def fails(self):
        return {}["missing"]

    @event("own")
    async def own(self, client): ...


async def test_server_events_are_called_for_other_servers_only(serve, raw):
    served = await serve(Servers())
    adapter = served.server.adapter
    assert await adapter.local_server_event("/servers", ["sum", 1, 2]) == 3
    assert await adapter.local_server_event("/servers", ["sync"]) == "sync"
    for unknown in (["own"], ["on_stop"], ["missing"], [5], [[]], []):
        with pytest.raises(LookupError):
            await adapter.local_server_event("/servers", unknown)
    with pytest.raises(LookupError):
        await adapter.local_server_event("/nowhere", ["sum", 1, 2])
    with pytest.raises(RuntimeError):
        await adapter.local_server_event("/servers", ["fails"])
    client = await raw(served.url)
    await client.connect("/servers")
    (answer,) = await client.call("/servers", "sum", 1, 2)
    assert answer["error"]["code"] == "unknown_event"
    assert await served.server.namespaces_by_path["/servers"].server_side_emit_with_ack("sum", 1, 2) == []


async def test_a_client_cannot_be_in_more_rooms_than_the_limit(serve, raw):
    class Collecting(Namespace, path="/"):
        auth = "none"

        @event("join")
        async def join(self, client, *rooms):
            await client.join(*rooms)
            return len(client.rooms)

    served = await serve(Collecting(), max_rooms=3)
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "join", "a", "b", "c") == [3]
    assert await client.call("/", "join", "a", "b") == [3]
    (answer,) = await client.call("/", "join", "d")
    assert answer["error"]["code"] == TooLarge.code
    assert await served.server.adapter.all_rooms("/") >= {"a", "b", "c"}
    assert "d" not in await served.server.adapter.all_rooms("/")


async def test_the_number_of_pending_acks_is_bounded(serve, raw, monkeypatch):
    monkeypatch.setattr("rtserver.sio.client.client.MAX_PENDING_ACKS", 10)
    served = await serve(Base())
    session = await raw(served.url)
    await session.connect("/base")
    (connection,) = served.server.connections.values()
    (client,) = connection.clients
    lost = []
    for number in range(25):
        client.on_ack(lambda values, number=number: lost.append((number, values)))
    assert lost == [(number, None) for number in range(15)]
    assert len(client._acks) == 10


async def test_the_attributes_of_a_client(serve, raw):
    served = await serve(Base(), Derived())
    session = await raw(served.url, Origin=served.url)
    sid = await session.connect("/base", {"token": "t", "deep": {"a": 1}})
    client = served.server.find(sid)
    assert client.identity is None
    assert client.handshake.auth == {"token": "t", "deep": {"a": 1}}
    assert client.handshake.query["transport"] == client.transport == "websocket"
    assert client.handshake.headers["origin"] == served.url
    assert client.handshake.address == "127.0.0.1"
    assert not client.handshake.secure
    assert not client.recovered
    with pytest.raises(LookupError):
        _ = client.user
    assert repr(client) == f"<Client {sid} of /base, user None, connected>"


async def test_a_namespace_may_use_any_attribute_names(serve, raw):
    class Own(Namespace, path="/own"):
        auth = "none"

        def __init__(self):
            self._events = self._name = self._server_events = self.label = "mine"

        @event("who")
        async def who(self, client):
            return self._events, self._name

    served = await serve(Own())
    client = await raw(served.url)
    await client.connect("/own")
    assert await client.call("/own", "who") == ["mine", "mine"]
