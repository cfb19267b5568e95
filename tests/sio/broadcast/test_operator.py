"""Broadcast operator: which clients an event reaches, and their acks."""

from __future__ import annotations

import asyncio
import json

import pytest

from rtserver.sio.broadcast.adapter import AckTimeout, Adapter
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.target import Flags, Target
from rtserver.sio.namespace.namespace import Namespace
from tests.sio.conftest import eventually


class Room(Namespace, path="/"):
    auth = "none"

    async def on_connect(self, client):
        rooms = (client.handshake.auth or {}).get("rooms", [])
        await client.join(*rooms)
        client.data["rooms"] = rooms


@pytest.fixture
async def hall(serve, raw):
    """A namespace with the clients a (room x), b (rooms x, y), c (none), in `members`."""
    namespace = Room()
    served = await serve(namespace)
    namespace.members, namespace.ids = {}, {}
    for name, rooms in {"a": ["x"], "b": ["x", "y"], "c": []}.items():
        client = namespace.members[name] = await raw(served.url)
        namespace.ids[name] = await client.connect("/", {"rooms": rooms, "token": "secret"})
    return namespace


async def heard(hall):
    """The clients that received the event `news` exactly once."""
    await hall.emit("end")
    names = ""
    for name, client in hall.members.items():
        got = []
        while (message := await client.receive()) != '2["end"]':
            got.append(message)
        assert got in ([], ['2["news",1]']), got
        names += name if got else ""
    return names


@pytest.mark.parametrize(
    ("address", "reached"),
    [
        (lambda ns: ns, "abc"),
        (lambda ns: ns.to(), "abc"),
        (lambda ns: ns.to("x"), "ab"),
        (lambda ns: ns.in_("y"), "b"),
        (lambda ns: ns.to("x", "y"), "ab"),
        (lambda ns: ns.to(["x", "y"]), "ab"),
        (lambda ns: ns.to("x").to("y"), "ab"),
        (lambda ns: ns.to("nowhere"), ""),
        (lambda ns: ns.except_("x"), "c"),
        (lambda ns: ns.to("x").except_("y"), "a"),
        (lambda ns: ns.to("x").except_(["y", "z"]), "a"),
        (lambda ns: ns.to("x").except_("x"), ""),
        (lambda ns: ns.local, "abc"),
        (lambda ns: ns.volatile.to("x"), "ab"),
        (lambda ns: ns.compress(False).to("x").local, "ab"),
        (lambda ns: ns.timeout(1).to("x"), "ab"),
        (lambda ns: ns.to(ns.ids["c"]), "c"),
        (lambda ns: ns.except_(ns.ids["c"]), "ab"),
        (lambda ns: ns.clients[ns.ids["a"]].broadcast, "bc"),
        (lambda ns: ns.clients[ns.ids["a"]].to("x"), "b"),
        (lambda ns: ns.clients[ns.ids["a"]].to("x").to("y"), "b"),
        (lambda ns: ns.clients[ns.ids["c"]].except_("y"), "a"),
        (lambda ns: ns.clients[ns.ids["a"]], "a"),
        (lambda ns: ns.server.of("/").to("y"), "b"),
        (lambda ns: ns.server.of("/nowhere"), ""),
    ],
)
async def test_an_event_reaches_the_addressed_clients(hall, address, reached):
    await address(hall).emit("news", 1)
    assert await heard(hall) == reached


def test_an_operator_is_immutable_and_reusable():
    class Kept(Adapter):
        def broadcast(self, nsp, args, target):
            seen.append(target)

    seen = []
    room = Operator(Kept(), "/").to("x")
    room.except_("y").volatile.local.compress(False).timeout(2)
    assert room._target == Target(rooms=("x",))
    assert room.except_("y").volatile.local.compress(False).timeout(2)._target == Target(
        rooms=("x",), except_=("y",), flags=Flags(volatile=True, local=True, compress=False, timeout=2)
    )


@pytest.mark.parametrize("name", ["connect", "disconnect", "connect_error", "newListener"])
async def test_reserved_event_names_cannot_be_emitted(hall, name):
    for emitter in (hall, hall.to("x"), hall.clients[hall.ids["a"]]):
        with pytest.raises(ValueError, match="reserved"):
            await emitter.emit(name)
        with pytest.raises(ValueError, match="reserved"):
            await emitter.emit_with_ack(name)


async def test_data_that_cannot_be_encoded_raises_at_the_emit_and_reaches_no_client(hall):
    for emitter in (hall, hall.to("x"), hall.clients[hall.ids["a"]]):
        with pytest.raises(TypeError):
            await emitter.emit("news", object())
        with pytest.raises(TypeError):
            await emitter.emit_with_ack("news", "\ud800")
    assert await heard(hall) == ""


async def test_nan_is_never_sent(hall):
    await hall.emit("price", float("nan"), {"high": float("inf")})
    assert await hall.members["a"].receive() == '2["price",null,{"high":null}]'


async def answer(client, *values):
    """Answer the next event that asks for an ack."""
    message = str(await client.receive())
    id = message[1 : message.index("[")]
    await client.send(f"3{id}{json.dumps(values)}")
    return message


async def test_one_client_acknowledges(hall):
    a = hall.clients[hall.ids["a"]]
    asked = asyncio.ensure_future(a.emit_with_ack("question", 1))
    assert await answer(hall.members["a"], "yes", "more") == '20["question",1]'
    assert await asked == "yes"
    asked = asyncio.ensure_future(a.emit_with_ack("question", 2))
    assert await answer(hall.members["a"]) == '21["question",2]'
    assert await asked is None
    assert not a._acks


async def test_an_ack_times_out_when_the_client_is_late_or_leaves(hall):
    a = hall.clients[hall.ids["a"]]
    with pytest.raises(AckTimeout):
        await a.emit_with_ack("question", timeout=0.01)
    assert not a._acks
    # Late, repeated and unknown acks are ignored.
    await hall.members["a"].send("30[1]", "30[2]", "399[3]")
    asked = asyncio.ensure_future(a.emit_with_ack("question"))
    await hall.members["a"].receive()
    await hall.members["a"].close()
    with pytest.raises(AckTimeout):
        await asked
    with pytest.raises(AckTimeout):
        await a.emit_with_ack("question")


async def test_every_member_of_a_room_acknowledges(hall):
    asked = asyncio.ensure_future(hall.to("x").timeout(5).emit_with_ack("question", b"x"))
    for name in "ab":
        client = hall.members[name]
        assert str(await client.receive()).startswith("51-0[")
        assert await client.receive() == b"x"
        await client.send(f'30["{name}"]')
    assert sorted(await asked) == ["a", "b"]


async def test_an_empty_target_gives_no_responses(hall):
    assert await hall.to("nowhere").emit_with_ack("question") == []


async def test_a_timeout_reports_the_responses_that_came(hall):
    asked = asyncio.ensure_future(hall.to("x").timeout(0.2).emit_with_ack("question"))
    await answer(hall.members["a"], "yes")
    with pytest.raises(AckTimeout) as caught:
        await asked
    assert caught.value.responses == ["yes"]
    assert all(not client._acks for client in hall.clients.values())


async def test_a_member_that_leaves_is_not_waited_for(hall):
    asked = asyncio.ensure_future(hall.to("x").timeout(5).emit_with_ack("question"))
    await answer(hall.members["a"], "yes")
    await hall.members["b"].receive()
    await hall.members["b"].close()
    assert await asked == ["yes"]


async def test_javascript_clients_acknowledge_to_a_room(hall, js):
    clients = [await js(served_url(hall), "/", auth={"rooms": ["js"]}, transports=["websocket"]) for _ in range(2)]
    for number, client in enumerate(clients):
        await client.answer("question", number)
    assert sorted(await hall.to("js").emit_with_ack("question")) == [0, 1]


def served_url(hall):
    (connection, *_) = hall.server.connections.values()
    return f"http://{connection.handshake.headers['host']}"


async def test_fetched_sockets_have_no_secrets(hall):
    (socket,) = await hall.to("y").fetch_sockets()
    assert socket.id == hall.ids["b"]
    assert socket.rooms == {"x", "y", hall.ids["b"]}
    assert socket.data == {"rooms": ["x", "y"]}
    assert (socket.user, socket.transport, socket.instance) == (None, "websocket", hall.server.instance_id)
    assert socket.handshake["address"] == "127.0.0.1"
    assert socket.handshake["auth"] == {}
    assert socket.handshake["url"] == "/socket.io/"
    assert "secret" not in repr(socket)
    assert "secret" not in json.dumps(socket.handshake)


async def test_a_fetched_handshake_has_no_token_in_header_cookie_or_query(serve, raw):
    served = await serve(Room())
    headers = {"Authorization": "Bearer secret", "Cookie": "token=secret", "User-Agent": "test"}
    client = await raw(served.url, **headers)
    await client.connect("/", {"token": "secret"})
    (socket,) = await served.server.of("/").fetch_sockets()
    assert "secret" not in json.dumps(socket.handshake)
    assert socket.handshake["headers"]["user-agent"] == "test"
    (connection,) = served.server.connections.values()
    assert connection.clients[0].handshake.headers["authorization"] == "Bearer secret"
    assert "secret" not in repr(connection.clients[0].handshake)


async def test_a_fetched_socket_can_be_used(hall):
    (socket,) = await hall.to(hall.ids["c"]).fetch_sockets()
    await socket.join("z")
    await hall.to("z").emit("news", 1)
    assert await heard(hall) == "c"
    await socket.leave("z")
    await hall.to("z").emit("news", 1)
    assert await heard(hall) == ""
    await socket.emit("news", 1)
    assert await heard(hall) == "c"
    await socket.disconnect()
    assert await hall.members["c"].receive() == "1"


async def test_sockets_join_and_leave_rooms(hall):
    await hall.to("x").sockets_join("z", ["w"])
    await hall.to("z").emit("news", 1)
    assert await heard(hall) == "ab"
    await hall.to("y").sockets_leave("z", "w")
    await hall.to("z", "w").emit("news", 1)
    assert await heard(hall) == "a"
    await hall.sockets_join("everybody")
    await hall.to("everybody").emit("news", 1)
    assert await heard(hall) == "abc"
    await hall.sockets_leave("everybody")
    assert await hall.all_rooms() == {"x", "y", "z", "w", *hall.ids.values()}


async def test_sockets_are_disconnected_from_the_namespace_or_closed(hall):
    await hall.to("y").disconnect_sockets()
    assert await hall.members["b"].receive() == "1"
    assert len(hall.server.connections) == 3
    await hall.members["b"].connect()
    await hall.disconnect_sockets(close=True)
    for client in hall.members.values():
        assert await client.closed() == ["1"]
    await eventually(lambda: not hall.server._clients)


async def test_javascript_sees_that_the_server_disconnected_it(hall, js):
    url = served_url(hall)
    client = await js(url, "/", auth={"rooms": ["js"]}, transports=["websocket"])
    await hall.to("js").disconnect_sockets(close=True)
    assert await client.disconnected() == "io server disconnect"


async def test_emitting_to_a_client_that_is_gone_does_nothing(hall):
    a = hall.clients[hall.ids["a"]]
    await a.disconnect()
    await a.disconnect()
    await a.emit("news")
    await a.join("late")
    await a.leave("x")
    assert not a.connected
    assert not await hall.to("late").fetch_sockets()


async def test_clients_lists_the_connected_clients(hall):
    clients = hall.clients
    assert set(clients) == set(hall.ids.values())
    with pytest.raises(TypeError):
        clients["x"] = None
    await hall.disconnect_sockets()
    assert not hall.clients
