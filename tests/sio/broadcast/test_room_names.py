"""Names of rooms: an integer and a UUID mean their text, everywhere; what reaches nobody raises."""

from __future__ import annotations

import enum
from uuid import UUID

import pytest
import socketio

from rtserver.cluster.emitter.emitter import EmitOperator
from rtserver.cluster.emitter.wires import ClassicWire
from rtserver.sio.broadcast.operator import Operator
from rtserver.sio.broadcast.room_names import flat_rooms, room_name
from rtserver.sio.namespace.namespace import Namespace
from rtserver.sio.server import Server

ID = UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


class Topic(enum.StrEnum):
    NEWS = "news"


class Level(enum.IntEnum):
    HIGH = 3


class Name(str):
    """Text of a type of one's own."""


NAMES = [
    ("lobby", "lobby"), ("", ""), (42, "42"), (0, "0"), (-7, "-7"), (2**64, "18446744073709551616"),
    (ID, str(ID)), (Topic.NEWS, "news"), (Level.HIGH, "3"), (Name("own"), "own"),
]  # fmt: skip
WRONG = [None, True, False, 4.0, b"lobby", bytearray(b"x"), memoryview(b"x"), object(), {"a": 1}, 1j, int, len]


@pytest.mark.parametrize(("room", "name"), NAMES)
def test_the_name_of_a_room_is_text_whatever_it_was_given_as(room, name):
    for given in (room_name(room), *flat_rooms((room,)), *flat_rooms(([room],))):
        assert given == name
        assert type(given) is str


@pytest.mark.parametrize("room", WRONG)
def test_what_cannot_be_a_name_raises_alone_and_in_a_collection(room):
    for rooms in ((room,), ([room],), ("a", room), (["a", room],)):
        with pytest.raises(TypeError, match="the name of a room is text, an integer or a UUID, not "):
            flat_rooms(rooms)


def test_the_error_says_what_was_given():
    for room, said in [
        (None, "not None"),
        (True, "not True"),
        (4.0, "type float"),
        (b"x" * 999, "bytes, which must be"),
    ]:
        with pytest.raises(TypeError, match=said) as error:
            room_name(room)
        assert len(str(error.value)) < 120


@pytest.mark.parametrize(
    "rooms", [["a", 1, ID], ("a", 1, ID), {"a": 0, 1: 0, ID: 0}.keys(), (room for room in ("a", 1, ID))]
)
def test_any_collection_of_names_is_taken_but_not_one_in_another(rooms):
    assert flat_rooms((rooms, 2)) == ("a", "1", str(ID), "2")
    with pytest.raises(TypeError, match="type list"):
        flat_rooms(([["a"]],))


def test_one_text_is_passed_through_as_it_came():
    rooms = ("lobby",)
    assert flat_rooms(rooms) is rooms


class Hall(Namespace, path="/hall"):
    auth = "none"
    room_presence = True

    async def on_connect(self, client):
        self.client = client


class Classic(socketio.AsyncNamespace):
    async def on_connect(self, sid, environ):
        await self.enter_room(sid, 42)


@pytest.fixture
async def house(serve, raw):
    """A server with a client in `/` (in the room 42 from its connect handler) and one in `/hall`."""
    server = Server()
    server.register_namespace(Classic("/"))
    hall = Hall()
    served = await serve(hall, server=server)
    client = await raw(served.url)
    server.sid, server.client, server.hall = await client.connect(), client, hall
    await client.connect("/hall")
    return server


async def test_rooms_of_python_socketio_may_be_integers_and_uuids(house):
    sid, client, classic = house.sid, house.client, house.namespace_handlers["/"]
    assert sorted(house.rooms(sid)) == sorted([sid, "42"])
    await house.enter_room(sid, ID)
    assert set(classic.rooms(sid)) == {sid, "42", str(ID)}
    assert [found for found, _ in house.manager.get_participants("/", 42)] == [sid]
    for number, arguments in enumerate(
        [{"room": 42}, {"to": 42}, {"to": "42"}, {"room": ID}, {"to": [1, ID]}, {"to": {42}}, {"room": (str(ID), 5)}]
    ):
        await house.emit("news", number, **arguments)
        assert await client.receive() == f'2["news",{number}]'
        await classic.send(number, **arguments)
        assert await client.receive() == f'2["message",{number}]'
    await house.emit("news", room=42, skip_sid=[ID])
    await house.emit("news", room=0)
    await house.manager.emit("news", "manager", "/", to=0)
    await house.manager.emit("news", "manager", "/", room=42)
    assert await client.receive() == '2["news","manager"]'
    await classic.leave_room(sid, ID)
    await classic.close_room(42)
    assert house.rooms(sid) == [sid]


async def test_rooms_of_clients_and_operators_may_be_integers_and_uuids(house):
    hall, client = house.hall, house.hall.client
    await client.join(7, ID, ["a", 8])
    assert client.rooms == {"7", str(ID), "a", "8"}
    for operator in (hall.to(7), hall.in_(ID), house.of("/hall").to([7, ID]), hall.to("8").except_(9)):
        await operator.emit("news")
        assert await house.client.receive() == '2/hall,["news"]'
    for operator in (hall.to("a").except_(ID), hall.except_(7), client.to(7), client.except_(1)):
        await operator.emit("missed")
    assert await hall.occupants(7) == []
    (socket,) = await hall.to(8).fetch_sockets()
    await socket.join(9, [10])
    await socket.leave(7)
    await hall.in_(9).sockets_leave(8, ID)
    await hall.sockets_join(11)
    await client.leave("a", [10])
    assert client.rooms == {"9", "11"}
    await hall.emit("end")
    assert await house.client.receive() == '2/hall,["end"]'


@pytest.mark.parametrize("room", [None, True, 4.5, b"42", object()], ids=repr)
async def test_every_door_refuses_what_cannot_be_a_room(house, room):
    hall, client, sid = house.hall, house.hall.client, house.sid
    (socket,) = await hall.fetch_sockets()
    calls = [
        lambda: house.enter_room(sid, room), lambda: house.leave_room(sid, room), lambda: house.close_room(room),
        lambda: house.enter_room("elsewhere", room), lambda: house.emit("x", to=[room]),
        lambda: house.emit("x", skip_sid=[room]), lambda: house.send("x", room=[room]), lambda: client.join(room),
        lambda: client.leave(room), lambda: socket.join(room), lambda: socket.leave(room),
        lambda: hall.sockets_join(room), lambda: hall.sockets_leave(room), lambda: hall.occupants(room),
        lambda: hall.to(room).emit("x"), lambda: hall.except_([room]).emit("x"), lambda: client.to(room).emit("x"),
    ]  # fmt: skip
    if room is not None:  # None is python-socketio's "all" there
        calls += [lambda: house.emit("x", room=room), lambda: house.call("x", to=room)]
    for call in calls:
        with pytest.raises(TypeError, match="the name of a room"):
            await call()


def test_an_emitter_takes_the_same_names():
    sent = []
    emitter = EmitOperator(lambda channel, payload: sent.append((channel, payload)), ClassicWire("socket.io"))
    for rooms in ((7,), ("7",)):
        emitter.to(*rooms).except_(ID).emit("news")
        emitter.in_(*rooms).sockets_join(ID)
        emitter.in_(*rooms).sockets_leave([ID])
    assert sent[:3] == sent[3:]
    for address in (emitter.to, emitter.except_, emitter.sockets_join, emitter.sockets_leave):
        with pytest.raises(TypeError, match="the name of a room"):
            address(4.0)


def test_an_operator_keeps_text_only():
    target = Operator(None, "/").to(1, ID).except_([2])._target  # type: ignore[arg-type]
    assert (target.rooms, target.except_) == (("1", str(ID)), ("2",))
