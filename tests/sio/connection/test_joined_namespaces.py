"""The end of a client: its disconnect handler runs at once, whatever its other handlers wait for."""

from __future__ import annotations

import asyncio

import pytest
import socketio

from rtserver.sio.namespace.namespace import Namespace, event
from rtserver.sio.server import Server
from tests.sio.conftest import Tokens, eventually

WAYS = {
    "client disconnect": lambda client, served: client.send("1"),
    "transport close": lambda client, served: client.close(),
    "server disconnect": lambda client, served: served.server.disconnect(next(iter(served.server._clients))),
    "parse error": lambda client, served: client.send("nonsense"),
}


class Watcher(Namespace, path="/"):
    """`watch` runs until the client has left, and then joins a room."""

    auth = "none"

    def __init__(self):
        self.story = []
        self.gate = asyncio.Event()

    async def on_disconnect(self, client, reason):
        self.story.append(f"on_disconnect {reason}")
        self.gate.set()

    @event("watch")
    async def watch(self, client):
        self.story.append("watch")
        await self.gate.wait()
        await client.join("late")
        await self.server.enter_room(client.id, "later")
        await client.emit("news")
        self.story.append("watched")
        return "seen"

    @event("note")
    async def note(self, client, number):
        self.story.append((number, client.connected))


@pytest.mark.parametrize("reason", WAYS)
async def test_a_handler_that_runs_until_the_client_leaves_hears_of_it(serve, raw, reason):
    served = await serve(watcher := Watcher())
    client = await raw(served.url)
    await client.connect()
    await client.send('21["watch"]')
    await eventually(lambda: watcher.story)
    await WAYS[reason](client, served)
    await eventually(lambda: len(watcher.story) == 3)
    assert watcher.story == ["watch", f"on_disconnect {reason}", "watched"]
    await client.close()
    await served.deserted()


async def test_events_received_before_the_end_are_handled_in_their_order_and_find_the_client_gone(serve, raw):
    served = await serve(watcher := Watcher())
    client = await raw(served.url)
    await client.connect()
    await client.send('21["watch"]', *(f'2["note",{number}]' for number in range(5)), "1")
    await eventually(lambda: len(watcher.story) == 8)
    assert watcher.story == ["watch", "on_disconnect client disconnect", "watched", *((n, False) for n in range(5))]
    await client.connect()
    assert await client.call("/", "note", 9) == []
    await client.close()
    await served.deserted()


async def test_a_client_that_is_gone_takes_no_place_in_a_room_by_a_late_handler(serve, raw):
    class Tracked(Watcher, path="/tracked"):
        auth = "required"
        room_presence = True

    served = await serve(watcher := Tracked(), authenticator=Tokens())
    client, other = await raw(served.url), await raw(served.url)
    await client.connect("/tracked", {"token": "ann"})
    await other.connect("/tracked", {"token": "ben"})
    await client.send('2/tracked,1["watch"]', '2/tracked,["watch"]')
    await client.close()
    await eventually(lambda: watcher.story.count("watched") == 2)
    assert "late" not in await watcher.all_rooms()
    assert "later" not in await watcher.all_rooms()
    assert await watcher.occupants("late") == []
    await other.close()
    await served.deserted()
    assert len(served.server.room_presence) == 0


async def test_on_connected_has_begun_when_on_disconnect_runs_and_does_not_delay_it(serve, raw):
    class Greeting(Watcher, path="/greeting"):
        async def on_connected(self, client):
            self.story.append("on_connected")
            await self.gate.wait()
            self.story.append("greeted")

    served = await serve(watcher := Greeting())
    client = await raw(served.url)
    await client.connect("/greeting")
    await client.send("1/greeting,")
    await eventually(lambda: len(watcher.story) == 3)
    assert watcher.story == ["on_connected", "on_disconnect client disconnect", "greeted"]
    await client.close()
    await served.deserted()


async def test_on_disconnect_follows_on_disconnecting_and_not_the_handler(serve, raw):
    class Leaving(Watcher, path="/leaving"):
        async def on_disconnecting(self, client, reason):
            self.story.append("on_disconnecting")

    served = await serve(watcher := Leaving())
    client = await raw(served.url)
    await client.connect("/leaving")
    await client.send('2/leaving,["watch"]')
    await client.close()
    await eventually(lambda: len(watcher.story) == 4)
    assert watcher.story == ["watch", "on_disconnecting", "on_disconnect transport close", "watched"]
    await served.deserted()


async def test_a_server_that_stops_ends_the_handlers_that_run_until_the_client_leaves(serve, raw):
    served = await serve(watcher := Watcher())
    client = await raw(served.url)
    await client.connect()
    await client.send('21["watch"]')
    await eventually(lambda: watcher.story)
    served.server.drain.hurry()
    await served.server.stop()
    assert watcher.story == ["watch", "on_disconnect transport close", "watched"]


@pytest.mark.parametrize("async_handlers", [False, True])
async def test_python_socketio_handlers_that_loop_until_disconnect_end_with_it(serve, raw, async_handlers):
    sio = Server(async_handlers=async_handlers)
    online, story = set(), []

    @sio.event
    async def connect(sid, environ):
        online.add(sid)
        await sio.save_session(sid, {"user": "ann"})

    @sio.event
    async def watch(sid):
        story.append("watch")
        while sid in online:
            await sio.sleep(0.001)
        story.append("watched")

    @sio.event
    async def note(sid):
        story.append((await sio.get_session(sid))["user"])

    @sio.event
    async def disconnect(sid, reason):
        story.append((await sio.get_session(sid))["user"] + " left")
        online.discard(sid)

    served = await serve(server=sio)
    client = await raw(served.url)
    await client.connect()
    await client.send('2["watch"]', '2["note"]', '2["note"]')
    await client.close()
    await eventually(lambda: len(story) == 5)
    early, late = (["ann", "ann"], []) if async_handlers else ([], ["ann", "ann"])
    assert story == ["watch", *early, "ann left", "watched", *late]
    await served.deserted()


async def test_a_class_of_python_socketio_hears_of_the_end_while_it_handles_an_event(serve, raw):
    class Classic(socketio.AsyncNamespace):
        gone = asyncio.Event()

        def on_disconnect(self, sid):
            self.gone.set()

        async def on_watch(self, sid):
            await self.gone.wait()
            await self.enter_room(sid, "late")

    sio = Server()
    sio.register_namespace(Classic("/"))
    served = await serve(server=sio)
    client = await raw(served.url)
    await client.connect()
    await client.send('21["watch"]')
    await client.close()
    await served.deserted()


async def test_a_client_whose_backlog_is_full_is_missed_when_it_leaves(serve, raw):
    served = await serve(watcher := Watcher(), ping_interval=0.05, ping_timeout=0.05, max_backlog=3)
    client = await raw(served.url)
    await client.connect()
    await client.send('2["watch"]', *['2["note",1]'] * 5)
    (connection,) = served.server.connections.values()
    await eventually(lambda: connection.backlog.full)
    client._socket._response.connection.transport.abort()  # it leaves without a word
    await eventually(lambda: "watched" in watcher.story)
    await served.deserted()


@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_the_official_client_leaves_while_its_event_is_handled(serve, js, transport):
    served = await serve(watcher := Watcher())
    client = await js(served.url, "/", transports=[transport])
    await client.emit("watch")
    await client.emit("note", 1)
    await eventually(lambda: watcher.story)
    await client.disconnect()
    await eventually(lambda: len(watcher.story) == 4)
    assert watcher.story[0] == "watch"
    assert watcher.story[1] in ("on_disconnect client disconnect", "on_disconnect transport close")
    assert watcher.story[2:] == ["watched", (1, False)]
    await served.deserted()


EXPULSIONS = {
    "the API of python-socketio": lambda served, client: served.server.disconnect(client.id),
    "the client": lambda served, client: client.disconnect(),
    "the connection": lambda served, client: client.disconnect(close=True),
    "its room": lambda served, client: served.server.of("/").in_(client.id).disconnect_sockets(),
    "its room and connection": lambda served, client: served.server.of("/").in_(client.id).disconnect_sockets(True),
}


@pytest.mark.parametrize("way", EXPULSIONS)
async def test_events_that_wait_are_dropped_when_the_server_disconnects_the_client(serve, raw, way):
    served = await serve(watcher := Watcher())
    client = await raw(served.url)
    sid = await client.connect()
    await client.send('21["watch"]', *(f'2["note",{number}]' for number in range(95)))
    [connection] = served.server.connections.values()
    await eventually(lambda: connection.backlog.events == 95)
    await EXPULSIONS[way](served, served.server.find(sid))
    await eventually(lambda: "watched" in watcher.story)
    await eventually(lambda: connection.backlog.events == 0)
    assert connection.backlog.size == 0
    assert watcher.story == ["watch", "on_disconnect server disconnect", "watched"]
    await client.close()
    await served.deserted()


async def test_a_client_that_the_server_disconnected_can_join_again_and_is_heard(serve, raw):
    served = await serve(watcher := Watcher())
    client = await raw(served.url)
    sid = await client.connect()
    await client.send('2["watch"]', '2["note",1]')
    await eventually(lambda: watcher.story)
    await served.server.find(sid).disconnect()
    assert await client.receive() == "1"
    await client.connect()
    assert await client.call("/", "note", 2) == []
    assert watcher.story[-1] == (2, True)
    await client.close()
    await served.deserted()
