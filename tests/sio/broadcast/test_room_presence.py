"""Room presence as a namespace sees it."""

from __future__ import annotations

import re

import pytest
import socketio

from rtserver.app import standalone
from rtserver.errors import Refused
from rtserver.ids import new_sid
from rtserver.sio.namespace.namespace import Client, Namespace, event
from tests.sio.conftest import Tokens, eventually


class Desk(Namespace, path="/desk"):
    room_presence = True
    auth = "optional"

    async def on_connect(self, client: Client) -> None:
        await client.join("lobby")
        if client.identity is not None and "locked" in client.identity.roles:
            raise Refused("Closed")

    @event("join")
    async def join(self, client: Client, *rooms: str) -> None:
        await client.join(*rooms)

    @event("leave")
    async def leave(self, client: Client, room: str) -> None:
        await client.leave(room)

    @event("who")
    async def who(self, client: Client, room: str) -> object:
        return await self.occupants(room, of=client.namespace_name)


class Tenants(Desk, path=re.compile(r"/tenant-\d+")):
    pass


class Plain(Namespace, path="/plain"):
    auth = "optional"

    @event("join")
    async def join(self, client: Client, room: str) -> None:
        await client.join(room)


async def told(namespace: Desk, room: str, **options) -> dict[str, int]:
    return {one.user: one.devices for one in await namespace.occupants(room, **options)}


async def test_a_user_is_present_from_the_first_device_to_the_last(serve, python):
    desk = Desk()
    served = await serve(desk, authenticator=Tokens())
    phone, laptop, bob = [await python(served.url, "/desk", auth={"token": user}) for user in ("alice", "alice", "bob")]
    await python(served.url, "/desk")  # without an identity
    for client in (phone, phone, laptop, bob):
        await client.call("join", "orders", namespace="/desk")
    assert await told(desk, "orders") == {"alice": 2, "bob": 1}
    assert await told(desk, "lobby") == {"alice": 2, "bob": 1}
    assert await told(desk, "orders", users=["bob", "carol"]) == {"bob": 1}
    assert await bob.call("who", "orders", namespace="/desk") == [
        {"user": "alice", "devices": 2, "instances": {served.server.instance_id: 2}},
        {"user": "bob", "devices": 1, "instances": {served.server.instance_id: 1}},
    ]
    await phone.call("leave", "orders", namespace="/desk")
    await phone.call("leave", "orders", namespace="/desk")
    assert await told(desk, "orders") == {"alice": 1, "bob": 1}
    await bob.disconnect()
    await laptop.disconnect()
    await eventually(lambda: len(served.server._clients) == 2)
    assert await told(desk, "orders") == {}
    assert await told(desk, "lobby") == {"alice": 1}


async def test_private_rooms_and_refused_clients_are_not_counted(serve, python):
    desk = Desk()
    served = await serve(desk, authenticator=Tokens())
    alice = await python(served.url, "/desk", auth={"token": "alice"})
    await alice.call("join", ("user:bob", new_sid(), "users"), namespace="/desk")
    with pytest.raises(socketio.exceptions.ConnectionError):
        await python(served.url, "/desk", auth={"token": "bob:locked"})
    assert sorted(room for (_, room), _ in served.server.room_presence) == ["lobby", "users"]


async def test_each_name_of_a_dynamic_namespace_has_its_own_rooms(serve, python):
    tenants = Tenants()
    served = await serve(tenants, authenticator=Tokens())
    one = await python(served.url, "/tenant-1", auth={"token": "alice"})
    await python(served.url, "/tenant-2", auth={"token": "bob"})
    assert await told(tenants, "lobby", of="/tenant-1") == {"alice": 1}
    with pytest.raises(TypeError, match="of=name"):
        await tenants.occupants("lobby")
    await one.disconnect()
    await eventually(lambda: len(served.server._clients) == 1)
    assert await told(tenants, "lobby", of="/tenant-1") == {}
    assert len(served.server.room_presence) == 1


async def test_a_namespace_without_room_presence_tracks_nothing(serve, python):
    plain = Plain()
    served = await serve(plain, authenticator=Tokens())
    alice = await python(served.url, "/plain", auth={"token": "alice"})
    await alice.call("join", "orders", namespace="/plain")
    assert len(served.server.room_presence) == 0
    with pytest.raises(TypeError, match="room_presence"):
        await plain.occupants("orders")


async def test_a_server_that_cannot_ask_the_others_marks_its_answer_partial(serve, python):
    desk = Desk()
    manager = socketio.AsyncRedisManager("redis://127.0.0.1:1")
    served = await serve(desk, server=standalone.Server(client_manager=manager, authenticator=Tokens()))
    await python(served.url, "/desk", auth={"token": "alice"})
    here = await desk.occupants("lobby")
    assert ([one.instances for one in here], here.partial) == ([{served.server.instance_id: 1}], True)
    assert (await desk.occupants("lobby", users=["bob"])).partial
