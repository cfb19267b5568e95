"""The last words of a connection that the server closes in the middle of its client's upgrade to WebSocket."""

from __future__ import annotations

import asyncio

import pytest

from rtserver.engine.transports.upgrade import PROBE, UPGRADE, Upgrade
from rtserver.sio.namespace.namespace import Namespace
from tests.sio.conftest import Tokens, eventually


class Hall(Namespace, path="/"):
    auth = "none"

    def __init__(self):
        self.members = []
        self.left = []

    async def on_connect(self, client):
        self.members.append(client)

    async def on_disconnect(self, client, reason):
        self.left.append(reason)

    @property
    def last(self):
        return self.members[-1]

    async def say_last_words(self):
        await eventually(lambda: self.members and self.last.connected)
        await self.last.emit("last", "words")


async def kick(served, hall):
    await hall.say_last_words()
    await hall.last.disconnect(close=True)


async def disconnect_all(served, hall):
    await hall.say_last_words()
    await hall.disconnect_sockets(close=True)


async def expire(served, hall):
    await hall.say_last_words()
    deadline = next(iter(served.server.connections.values()))._deadline
    hall.last.identity = await Tokens(0.0).authenticate(hall.last.handshake.with_auth({"token": "ada"}))
    deadline.fire()


async def drain(served, hall):
    await hall.say_last_words()
    served.server.drain.hurry()
    served.server.spawn(served.server.drain.run())


@pytest.fixture
def during_upgrade(monkeypatch):
    """`during_upgrade(packet, act)`: run `act` once, when the server has read this packet and not handled it yet."""

    def arrange(packet, act):
        receive = Upgrade.receive_text
        acts = [act]

        def held(self, text):
            if text == packet and acts:
                asyncio.ensure_future(acts.pop()()).add_done_callback(lambda done: (done.result(), receive(self, text)))
            else:
                receive(self, text)

        monkeypatch.setattr(Upgrade, "receive_text", held)

    return arrange


@pytest.mark.parametrize("packet", [PROBE, UPGRADE])
@pytest.mark.parametrize("end", [kick, disconnect_all, expire, drain])
async def test_an_official_client_gets_the_last_words(serve, js, during_upgrade, end, packet):
    hall = Hall()
    served = await serve(hall)
    during_upgrade(packet, lambda: end(served, hall))
    client = await js(served.url, reconnection=False, wait=False)  # the end may come as soon as the connection
    assert await client.next("last") == ["words"]
    assert await client.disconnected() != "ping timeout", "the client has to notice that its server is silent"
    await eventually(lambda: hall.left)
    assert len(hall.left) == 1
    await served.deserted()


@pytest.mark.parametrize("packet", [PROBE, UPGRADE])
async def test_an_official_client_that_was_kicked_does_not_come_back(serve, js, during_upgrade, packet):
    hall = Hall()
    served = await serve(hall)
    during_upgrade(packet, lambda: kick(served, hall))
    client = await js(served.url, reconnectionDelay=10, reconnectionDelayMax=10, wait=False)
    assert await client.disconnected() == "io server disconnect"
    await served.deserted()
    assert len(hall.members) == 1
