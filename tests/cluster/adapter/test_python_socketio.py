"""Input from python-socketio: its manager reaches our clients, and no message on its channel does harm."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import redis.asyncio
import socketio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rtserver.cluster.adapter.python_socketio import PythonSocketIOInput
from rtserver.protocol.adapter import MalformedMessage
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.broadcast.rooms import Rooms
from tests.cluster.instances import Instance
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

Cluster = Callable[..., Awaitable[list[Instance]]]


@pytest.fixture
def manager(redis_server: RedisServer) -> Iterator[socketio.RedisManager]:
    made = socketio.RedisManager(redis_server.url, write_only=True)
    yield made
    if made.redis is not None:
        made.redis.close()


@pytest.fixture
async def async_manager(redis_server: RedisServer) -> AsyncIterator[socketio.AsyncRedisManager]:
    made = socketio.AsyncRedisManager(redis_server.url, write_only=True)
    yield made
    if made.redis is not None:
        await made.redis.aclose()


async def test_a_write_only_manager_reaches_the_clients_of_every_instance(
    cluster: Cluster, manager: socketio.RedisManager
) -> None:
    one, two = await cluster()
    a, b = await one.client("red"), await two.client("red", "blue")
    manager.emit("x", {"n": 1}, namespace="/chat", room="red")
    manager.emit("x", ("several", "arguments"), namespace="/chat", room=["red", "blue"])
    manager.emit("x", [1, 2], namespace="/chat", skip_sid=a.id)
    manager.emit("x", "nobody", namespace="/chat", room="red", skip_sid=[a.id, b.id])
    manager.emit("x", {"blob": b"\x00\xff", "more": [b"1", b"2"]}, namespace="/chat", to=b.id)
    manager.emit("x", "other namespace")
    manager.emit("end", None, namespace="/chat")
    await eventually(lambda: ("end",) in a.heard and ("end",) in b.heard)
    assert a.heard == [("x", {"n": 1}), ("x", "several", "arguments"), ("end",)]
    assert b.heard == [
        ("x", {"n": 1}),
        ("x", "several", "arguments"),
        ("x", [1, 2]),
        ("x", {"blob": b"\x00\xff", "more": [b"1", b"2"]}),
        ("end",),
    ]


async def test_a_write_only_manager_moves_and_disconnects_clients(
    cluster: Cluster, async_manager: socketio.AsyncRedisManager
) -> None:
    _, two = await cluster()
    browser = await two.client("red")
    await async_manager.enter_room(browser.id, "/chat", "gold")
    await eventually(lambda: two.adapter.has_room("/chat", "gold"))
    await async_manager.leave_room(browser.id, "/chat", "gold")
    await eventually(lambda: not two.adapter.has_room("/chat", "gold"))
    await async_manager.close_room("red", "/chat")
    await eventually(lambda: not two.adapter.has_room("/chat", "red"))
    await async_manager.emit("x", {"blob": b"\xff"}, namespace="/chat", room=browser.id)
    await eventually(lambda: browser.heard == [("x", {"blob": b"\xff"})])
    message = {"method": "disconnect", "sid": browser.id, "namespace": "/chat", "host_id": "x"}
    await async_manager._publish(message)
    await eventually(lambda: not browser.connected)


async def test_a_room_given_as_a_number_is_the_room_of_its_text_on_every_instance(
    cluster: Cluster, manager: socketio.RedisManager
) -> None:
    one, two = await cluster()
    browser = await two.client()
    await one.server.enter_room(browser.id, 42, namespace="/chat")
    await eventually(lambda: two.adapter.has_room("/chat", "42"))
    await one.server.emit("x", 1, room=42, namespace="/chat")
    manager.emit("x", 2, room=42, namespace="/chat")
    await one.server.emit("x", "nobody", room=[42, "42"], skip_sid=browser.id, namespace="/chat")
    await eventually(lambda: len(browser.heard) == 2)
    assert sorted(browser.heard) == [("x", 1), ("x", 2)]
    await one.server.close_room(42, namespace="/chat")
    await eventually(lambda: not two.adapter.has_room("/chat", "42"))


BAD = [
    b"", b"5", b"[]", b"null", b'"emit"', b"{}", b'{"method": 5}', b'{"method": "shutdown"}', b'{"method": "emit"}',
    b'{"method": "emit", "event": 5, "data": []}', b'{"method": "emit", "event": "x", "data": [NaN]}',
    b'{"method": "emit", "event": "x", "data": ["\\ud800"]}', b'{"method": "emit", "event": "disconnect", "data": []}',
    b'{"method": "emit", "event": "x", "data": [], "namespace": 5}',
    b'{"method": "emit", "event": "x", "data": [], "namespace": "/chat", "room": {}}',
    b'{"method": "emit", "event": "x", "data": [], "namespace": "/chat", "room": [null]}',
    b'{"method": "emit", "event": "x", "data": [], "namespace": "/chat", "skip_sid": true}',
    b'{"method": "emit", "event": "x", "data": "x", "binary": true}',
    b'{"method": "emit", "event": "x", "data": [[], 5], "binary": true}',
    b'{"method": "emit", "event": "x", "data": [[], "%%%"], "binary": true}',
    b'{"method": "emit", "event": "x", "data": [{"_placeholder": true, "num": 0}], "binary": true}',
    b'{"method": "emit", "event": "x", "data": [{"_placeholder": true, "num": -1}, "AA=="], "binary": true}',
    b'{"method": "emit", "event": "x", "binary": true,'
    b' "data": [[{"_placeholder": true, "num": 0}, {"_placeholder": true, "num": 0}], "AA=="]}',
    b'{"method": "disconnect"}', b'{"method": "enter_room", "sid": "x"}', b'{"method": "close_room", "room": []}',
    b"\x80\x04]\x94.", b"[" * 100_000,
]  # fmt: skip


async def test_garbage_is_counted_and_the_next_message_arrives(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    browser = await one.client()
    for payload in BAD:
        await redis_client.publish("socketio", payload)
    good = {"method": "emit", "event": "end", "data": [1], "namespace": "/chat", "callback": ["room", "/chat", 1]}
    await redis_client.publish("socketio", json.dumps({"method": "callback", "host_id": "x", "id": 1, "args": []}))
    await redis_client.publish("socketio", json.dumps(good))
    await eventually(lambda: browser.heard == [("end", 1)])
    assert one.metrics.rejections == {"cluster_message": len(BAD)}


class _NoRooms:
    def rooms_of(self, name: str) -> Rooms[Any] | None:
        return None

    def has_namespace(self, name: str) -> bool:
        return True


FIELDS = ("method", "event", "data", "binary", "namespace", "room", "skip_sid", "sid", "callback")
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["emit", "close_room", "AA=="]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["_placeholder", "num"]), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.binary() | st.dictionaries(st.sampled_from(FIELDS), JUNK).map(lambda body: json.dumps(body).encode()))
def test_no_message_has_a_worse_effect_than_its_rejection(payload: bytes) -> None:
    adapter = Adapter()
    server: Any = _NoRooms()
    adapter.bind(server)
    try:
        PythonSocketIOInput(adapter).on_message("socketio", payload)
    except MalformedMessage:
        return
