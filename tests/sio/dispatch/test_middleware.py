"""Observers and middleware, as Node's `onAny`, `onAnyOutgoing` and `use`."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.errors import EventError, Forbidden, Refused
from rtserver.sio.namespace.namespace import Namespace, event
from rtserver.sio.server import Server
from tests.sio.conftest import eventually


class Plain(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.seen = []
        self.client = None

    async def on_connect(self, client):
        self.client = client

    @event("echo")
    async def echo(self, client, *args):
        return args

    @event("double")
    async def double(self, client, number: int):
        return 2 * number

    @event("rare", rate="1/m")
    async def rare(self, client):
        return "here"

    @event("fail")
    async def fail(self, client):
        raise RuntimeError("a bug")


@pytest.fixture
async def plain(serve, raw):
    """The namespace, and a client connected to it."""
    namespace = Plain()
    served = await serve(namespace)
    namespace.raw = await raw(served.url)
    await namespace.raw.connect()
    return namespace


# Observers


async def test_an_observer_sees_every_incoming_event_and_cannot_change_it(plain):
    seen = []
    plain.client.on_any(lambda *args: seen.append(args))
    assert await plain.raw.call("/", "echo", 1, [2]) == [1, [2]]
    await plain.raw.call("/", "unknown", 3)
    await plain.raw.call("/", "double", "no number")
    assert seen == [("echo", 1, [2]), ("unknown", 3), ("double", "no number")]


async def test_an_observer_sees_every_outgoing_event_and_no_ack(plain):
    seen, other = [], []
    plain.client.on_any_outgoing(lambda *args: seen.append(args))
    plain.client.on_any_outgoing(lambda *args: other.append(args[0]))
    await plain.client.emit("own", 1)
    await plain.emit("all", 2)
    await plain.to(plain.client.id).emit("room")
    await plain.except_(plain.client.id).emit("others")
    asked = asyncio.ensure_future(plain.client.emit_with_ack("asked"))
    await plain.raw.call("/", "echo", 3)
    assert seen == [("own", 1), ("all", 2), ("room",), ("asked",)]
    assert other == ["own", "all", "room", "asked"]
    await plain.raw.send("30[]")
    await asked


async def test_observers_can_be_removed(plain):
    seen = []

    def one(*args):
        seen.append(("one", *args))

    def two(*args):
        seen.append(("two", *args))

    client = plain.client
    for observer in (one, two):
        client.on_any(observer)
        client.on_any_outgoing(observer)
    client.off_any(one)
    client.off_any_outgoing(two)
    await plain.raw.call("/", "echo")
    await client.emit("news")
    assert seen == [("two", "echo"), ("one", "news")]
    client.off_any()
    client.off_any_outgoing()
    await plain.raw.call("/", "echo")
    await client.emit("news")
    assert len(seen) == 2
    assert not client.server.outgoing_observers


async def test_a_failing_observer_affects_no_event(plain):
    def bad(*args):
        raise RuntimeError

    plain.client.on_any(bad)
    plain.client.on_any_outgoing(bad)
    assert await plain.raw.call("/", "echo", 1) == [1]
    await plain.client.emit("news")
    assert await plain.raw.receive() == '2["news"]'


async def test_events_do_not_wait_for_observers(plain):
    async def slow(*args): ...

    with pytest.raises(TypeError, match="plain function"):
        plain.client.on_any(slow)
    with pytest.raises(TypeError, match="plain function"):
        plain.client.on_any_outgoing(slow)


async def test_the_observers_of_a_client_are_removed_with_it(plain):
    server = plain.client.server
    plain.client.on_any_outgoing(print)
    await plain.raw.close()
    await eventually(lambda: not server.outgoing_observers)


# Middleware of one client


async def test_middleware_may_change_arguments_return_others_or_reject(plain):
    def change(event, args):
        if event == "echo":
            args.append("more")

    async def replace(event, args):
        await asyncio.sleep(0)
        return [21] if event == "double" else None

    def forbid(event, args):
        if "secret" in args:
            raise Forbidden("Not that")

    for step in (change, replace, forbid):
        plain.client.use(step)
    assert await plain.raw.call("/", "echo", 1) == [1, "more"]
    # The arguments are checked after the middleware.
    assert await plain.raw.call("/", "double", "x") == [42]
    assert await plain.raw.call("/", "echo", "secret") == [
        {"ok": False, "error": {"code": "forbidden", "message": "Not that"}}
    ]
    (answer,) = await plain.raw.call("/", "unknown")
    assert answer["error"]["code"] == "unknown_event"


@pytest.mark.parametrize("step", [lambda event, args: "text", lambda event, args: 1 / 0])
async def test_middleware_that_fails_is_an_internal_error(plain, step):
    plain.client.use(step)
    (answer,) = await plain.raw.call("/", "echo", 1)
    assert answer["error"]["code"] == "internal"


async def test_the_rate_limit_applies_before_the_middleware(plain):
    seen = []
    plain.client.use(lambda event, args: seen.append(event))
    answers = [await plain.raw.call("/", "rare") for _ in range(3)]
    assert answers[:2] == [["here"], ["here"]]
    assert answers[2][0]["error"]["code"] == "rate_limited"
    assert seen == ["rare", "rare"]


async def test_an_event_whose_client_left_in_the_middleware_is_not_handled(plain):
    async def leave(event, args):
        await plain.client.disconnect()

    plain.client.use(leave)
    plain.client.on_any(lambda *args: plain.seen.append(args))
    await plain.raw.send('21["fail"]')
    assert await plain.raw.receive() == "1"
    assert plain.seen == [("fail",)]
    assert plain.server.metrics.received == {("/", "ok"): 1}


# Middleware of a namespace: on_event


class Filtering(Plain, path="/"):
    async def on_event(self, client, event, args):
        self.seen.append((event, *args))
        if event == "echo" and args == ["no"]:
            raise EventError("No", code="no")
        if event == "double":
            return [int(args[0])]
        return None

    @event("*")
    async def rest(self, client, name: str, *args):
        return (name, *args)


async def test_every_event_of_a_namespace_goes_through_on_event(serve, raw):
    namespace = Filtering()
    client = await raw((await serve(namespace)).url)
    await client.connect()
    assert await client.call("/", "echo", "yes") == ["yes"]
    assert (await client.call("/", "echo", "no"))[0]["error"]["code"] == "no"
    assert await client.call("/", "double", "21") == [42]
    assert (await client.call("/", "double", "x"))[0]["error"]["code"] == "internal"
    assert await client.call("/", "other", 1) == ["other", 1]
    assert namespace.seen == [("echo", "yes"), ("echo", "no"), ("double", "21"), ("double", "x"), ("other", 1)]
    namespace.client.use(lambda event, args: [*args, "use"])
    namespace.client.on_any(lambda *args: namespace.seen.append("any"))
    assert await client.call("/", "echo", 1) == [1, "use"]
    assert namespace.seen[-2:] == ["any", ("echo", 1, "use")]


# Middleware before the connect handler


async def test_middleware_runs_before_the_connect_handler_and_may_refuse(serve, raw):
    order = []

    class Door(Plain, path="/door"):
        async def on_connect(self, client):
            order.append("on_connect")

    server, door = Server(), Door()
    served = await serve(door, Plain(), server=server)

    @server.use
    def for_all(client):
        order.append(f"server {client.namespace_name}")

    @door.use
    async def for_one(client):
        order.append("namespace")
        if (client.handshake.auth or {}).get("name") == "mallory":
            raise Refused("Go away", code="mallory")

    client = await raw(served.url)
    await client.connect("/door", {"name": "ada"})
    assert order == ["server /door", "namespace", "on_connect"]
    await client.connect("/")
    assert order[3:] == ["server /"]
    other = await raw(served.url)
    assert await other.refused("/door", {"name": "mallory"}) == {"message": "Go away", "data": {"code": "mallory"}}
    assert order[4:] == ["server /door", "namespace"]
    server.use(lambda client: 1 / 0)
    assert (await other.refused("/door"))["data"]["code"] == "internal"


async def test_handlers_of_python_socketio_can_be_observed_and_filtered(serve, raw):
    server = Server()
    seen = []

    @server.event
    async def connect(sid, environ):
        client = server.find(sid)
        client.on_any(lambda *args: seen.append(args))
        client.use(lambda event, args: [*args, "more"])

    @server.on("echo")
    async def echo(sid, *args):
        return args

    @server.on("*")
    async def rest(event, sid, *args):
        return (event, *args)

    served = await serve(server=server)
    client = await raw(served.url)
    await client.connect()
    assert await client.call("/", "echo", 1) == [1, "more"]
    assert await client.call("/", "other", 2) == ["other", 2, "more"]
    assert seen == [("echo", 1), ("other", 2)]
    server.use(lambda client: (_ for _ in ()).throw(Refused("No")))
    assert await (await raw(served.url)).refused() == {"message": "No"}
