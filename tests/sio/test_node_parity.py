"""The API of the Node server, tested with official JavaScript clients on every transport, with binary data."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.sio.broadcast.adapter import AckTimeout
from rtserver.sio.namespace.namespace import Namespace, event

PHOTO = bytes(range(256))
TRANSPORTS = pytest.mark.parametrize("transports", [["websocket"], ["polling"], ["polling", "websocket"]])


class Hall(Namespace, path="/hall"):
    auth = "none"

    def __init__(self):
        self.by_name = {}
        self.tries = 0

    async def on_connect(self, client):
        name = client.handshake.auth["name"]
        self.by_name[name] = client
        client.data["name"] = name
        await client.join("all", *client.handshake.auth.get("rooms", []))

    @event("echo", rate=None)
    async def echo(self, client, *args):
        return args

    @event("flaky", rate=None)
    async def flaky(self, client, *args):
        """Answers at the third attempt only, as a lost packet would have it."""
        self.tries += 1
        if self.tries < 3:
            await asyncio.sleep(0.3)
        return self.tries

    @event("quiet")
    async def quiet(self, client): ...


@pytest.fixture
async def hall(serve):
    namespace = Hall()
    namespace.url = (await serve(namespace)).url
    return namespace


@pytest.fixture
async def trio(hall, js):
    """ada (websocket, room x), bob (polling, rooms x and y), cy (upgraded, none)."""
    ways = {"ada": (["websocket"], ["x"]), "bob": (["polling"], ["x", "y"]), "cy": (["polling", "websocket"], [])}
    hall.js = {
        name: await js(hall.url, "/hall", transports=transports, auth={"name": name, "rooms": rooms})
        for name, (transports, rooms) in ways.items()
    }
    return hall


async def heard(hall, event="news"):
    await hall.emit("end")
    names = []
    for name, client in hall.js.items():
        await client.next("end")
        names += [name] * len(client.received(event))
    return names


# One client


@TRANSPORTS
async def test_acks_go_both_ways_with_binary(hall, js, transports):
    client = await js(hall.url, "/hall", transports=transports, auth={"name": "ada"})
    assert await client.call_all("echo", PHOTO, {"deep": [PHOTO, {"er": PHOTO}]}, "é€😀", 1.5, None) == [
        PHOTO, {"deep": [PHOTO, {"er": PHOTO}]}, "é€😀", 1.5, None,
    ]  # fmt: skip
    assert await client.call_all("quiet") == []
    await client.answer("question", PHOTO, {"and": PHOTO})
    ada = hall.by_name["ada"]
    assert await ada.emit_with_ack("question", PHOTO) == PHOTO
    assert await ada.timeout(5).emit_with_ack("question") == PHOTO
    with pytest.raises(AckTimeout):
        await ada.timeout(0.05).emit_with_ack("unanswered", PHOTO)
    (socket,) = await hall.to(ada.id).fetch_sockets()
    assert await socket.emit_with_ack("question", PHOTO) == PHOTO
    assert [args[0] for args in client.received("question")[:3]] == [PHOTO, {"$ack": True}, PHOTO]


@TRANSPORTS
async def test_a_volatile_event_arrives_while_the_client_is_ready(hall, js, transports):
    client = await js(hall.url, "/hall", transports=transports, auth={"name": "ada"})
    ada = hall.by_name["ada"]
    for number in range(20):
        await ada.volatile.emit("position", number)
        await ada.emit("next", number)
        await client.next("next")
    await client.emit("echo", 1, volatile=True)
    got = [number for (number,) in client.received("position")]
    assert got == sorted(got)
    if transports == ["websocket"]:
        assert got == list(range(20))


async def test_a_client_between_two_polls_misses_volatile_events_only(hall, js):
    client = await js(hall.url, "/hall", transports=["polling"], auth={"name": "ada"})
    ada = hall.by_name["ada"]
    # The first event answers the pending poll; until the next poll there is none.
    await ada.emit("sure", 1)
    for number in range(10):
        await ada.volatile.emit("maybe", number)
        await ada.compress(False).emit("sure", number + 2)
    await ada.emit("end")
    await client.next("end")
    assert client.received("sure") == [[number] for number in range(1, 12)]
    assert client.received("maybe") in ([], [[0]])
    assert ada.server.metrics.drops["volatile"] >= 9


@TRANSPORTS
async def test_a_client_with_retries_delivers_in_order(hall, js, transports):
    client = await js(
        hall.url, "/hall", transports=transports, auth={"name": "ada"}, retries=5, ackTimeout=150, wait=True
    )
    await client.emit("flaky", 1)
    assert await client.call("echo", 2) == 2
    assert hall.tries >= 3


# Broadcasts


ADDRESSES = [
    (lambda hall: hall, "ada bob cy"),
    (lambda hall: hall.to("x"), "ada bob"),
    (lambda hall: hall.to("x").to("y"), "ada bob"),
    (lambda hall: hall.in_("y").except_("nobody"), "bob"),
    (lambda hall: hall.except_("y"), "ada cy"),
    (lambda hall: hall.local.compress(True), "ada bob cy"),
    (lambda hall: hall.by_name["ada"], "ada"),
    (lambda hall: hall.by_name["ada"].broadcast, "bob cy"),
    (lambda hall: hall.by_name["ada"].to("x"), "bob"),
    (lambda hall: hall.by_name["ada"].in_("x", "y"), "bob"),
    (lambda hall: hall.by_name["cy"].except_("y"), "ada"),
    (lambda hall: hall.by_name["cy"].local.to("x"), "ada bob"),
    (lambda hall: hall.by_name["cy"].compress(False).broadcast, "ada bob"),
    (lambda hall: hall.by_name["cy"].timeout(1).except_("y"), "ada"),
    (lambda hall: hall.by_name["cy"].local, "cy"),
]


async def test_an_event_with_binary_reaches_the_addressed_clients(trio):
    for number, (address, _) in enumerate(ADDRESSES):
        await address(trio).emit(f"news {number}", PHOTO, {"more": PHOTO})
    await trio.emit("end")
    for client in trio.js.values():
        await client.next("end")
    for number, (_, reached) in enumerate(ADDRESSES):
        got = {name: client.received(f"news {number}") for name, client in trio.js.items()}
        expected = {name: [[PHOTO, {"more": PHOTO}]] if name in reached.split() else [] for name in trio.js}
        assert got == expected, number


async def test_every_client_in_a_room_acknowledges(trio):
    for name, client in trio.js.items():
        await client.answer("who", {"name": name, "photo": PHOTO}, "second values are not told")
    answers = await trio.to("x").timeout(5).emit_with_ack("who")
    assert sorted(answer["name"] for answer in answers) == ["ada", "bob"]
    assert all(answer["photo"] == PHOTO for answer in answers)
    assert await trio.to("nowhere").emit_with_ack("who") == []
    assert len(await trio.by_name["ada"].timeout(5).to("all").emit_with_ack("who", PHOTO)) == 2


async def test_late_acks_are_missing_from_the_responses(trio):
    await trio.js["ada"].answer("who", "ada")
    with pytest.raises(AckTimeout) as caught:
        await trio.timeout(0.3).emit_with_ack("who")
    assert caught.value.responses == ["ada"]


async def test_sockets_are_fetched_moved_and_disconnected(trio):
    sockets = {socket.data["name"]: socket for socket in await trio.to("x").fetch_sockets()}
    assert sorted(sockets) == ["ada", "bob"]
    assert sockets["bob"].rooms == {sockets["bob"].id, "all", "x", "y"}
    assert sockets["bob"].transport == "polling"
    assert sockets["ada"].handshake["query"]["transport"] == "websocket"
    await trio.in_("x").sockets_join("z", "zz")
    await trio.in_("y").sockets_leave("z")
    await sockets["ada"].leave("zz")
    await trio.to("z").emit("news", 1)
    await trio.to("zz").emit("news", 2)
    assert await heard(trio) == ["ada", "bob"]
    assert trio.js["ada"].received("news") == [[1]]
    assert "zz" in await trio.all_rooms()
    await trio.in_("y").disconnect_sockets()
    assert await trio.js["bob"].disconnected() == "io server disconnect"
    await trio.except_("x").disconnect_sockets(close=True)
    assert await trio.js["cy"].disconnected() == "io server disconnect"
    assert [socket.data["name"] for socket in await trio.fetch_sockets()] == ["ada"]


# The Python client


async def test_the_python_client_sends_and_receives_acks_with_binary(hall, python):
    def prepare(client):
        client.on("question", lambda *args: args, namespace="/hall")

    client = await python(hall.url, "/hall", prepare=prepare, auth={"name": "ada"})
    assert await client.call("echo", (PHOTO, {"deep": PHOTO}), namespace="/hall") == (PHOTO, {"deep": PHOTO})
    assert await hall.by_name["ada"].timeout(5).emit_with_ack("question", PHOTO) == PHOTO


@TRANSPORTS
async def test_events_of_a_handler_arrive_before_it_closes_the_connection(hall, js, transports):
    client = await js(hall.url, "/hall", transports=transports, auth={"name": "ada"}, reconnection=False)
    if len(transports) > 1:
        await client.upgraded()
    await hall.by_name["ada"].emit("bye", PHOTO)
    await hall.by_name["ada"].disconnect(close=True)
    assert await client.disconnected()
    assert client.received("bye") == [[PHOTO]]
