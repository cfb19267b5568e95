"""Cluster adapter: several servers act as one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgpack
import pytest
import redis.asyncio

from rtserver.protocol.adapter import Channels
from rtserver.sio.broadcast.adapter import AckTimeout
from tests.cluster.conftest import MakeBus
from tests.cluster.instances import Instance
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

Cluster = Callable[..., Awaitable[list[Instance]]]
CHAT = Channels("socket.io", "/chat")


async def test_a_broadcast_reaches_the_clients_of_every_instance_once(cluster: Cluster) -> None:
    one, two = await cluster()
    here, there = await one.client(), await two.client()
    await one.chat.emit("news", {"n": 1, "blob": b"\x00\xff"}, [None, True, 1.5, "é"])
    await one.chat.emit("end")
    await eventually(lambda: ("end",) in here.heard and ("end",) in there.heard)
    assert here.heard == there.heard == [("news", {"n": 1, "blob": b"\x00\xff"}, [None, True, 1.5, "é"]), ("end",)]


async def test_rooms_and_exceptions_hold_across_instances(cluster: Cluster) -> None:
    one, two = await cluster()
    a, b = await one.client("red"), await two.client("red", "blue")
    c, d = await two.client("green"), await two.client("red", "muted")
    await one.chat.to("red").emit("x", "red")
    await one.chat.to("red", "blue").except_("muted").emit("x", "red or blue")
    await one.chat.except_(b.id).emit("x", "not b")
    await one.chat.to(c.id).emit("x", "c")
    await one.chat.local.emit("x", "local")
    await one.chat.emit("end")
    await eventually(lambda: all(("end",) in client.heard for client in (a, b, c, d)))
    heard = [[args[1] for args in client.heard[:-1]] for client in (a, b, c, d)]
    assert heard == [
        ["red", "red or blue", "not b", "local"],
        ["red", "red or blue"],
        ["not b", "c"],
        ["red", "not b"],
    ]


async def test_a_thousand_events_arrive_in_order_on_the_other_instance(cluster: Cluster) -> None:
    one, two = await cluster()
    there = await two.client("red")
    for number in range(1000):
        target = one.chat.to("red") if number % 2 else one.chat
        await target.emit("n", number)
    await eventually(lambda: len(there.heard) == 1000)
    assert there.heard == [("n", number) for number in range(1000)]


async def test_a_broadcast_with_acks_keeps_its_order_among_other_broadcasts(cluster: Cluster) -> None:
    one, two = await cluster()
    there = await two.client()
    order: list[str] = []
    there.sio.on("ask", lambda *args: order.append("ask"), namespace="/chat")
    there.sio.on("tell", lambda *args: order.append("tell"), namespace="/chat")
    asking = asyncio.create_task(one.chat.timeout(5).emit_with_ack("ask"))
    await asyncio.sleep(0)
    await one.chat.emit("tell")
    await asking
    await eventually(lambda: len(order) == 2)
    assert order == ["ask", "tell"]


async def test_fetch_sockets_finds_the_sockets_of_every_instance(cluster: Cluster) -> None:
    one, two = await cluster()
    here, there = await one.client("red"), await two.client("red", "blue")
    await two.client("green")
    client = two.server.find(there.id)
    assert client is not None
    client.data.update(color="blue", blob=b"\xff", private=object())
    sockets = {socket.id: socket for socket in await one.chat.to("red").fetch_sockets()}
    assert sockets.keys() == {here.id, there.id}
    remote = sockets[there.id]
    assert remote.rooms == {there.id, "red", "blue"}
    assert remote.data == {"color": "blue", "blob": b"\xff"}
    assert remote.instance == two.server.instance_id
    assert remote.transport == "websocket"
    assert remote.handshake["address"] == "127.0.0.1"
    assert remote.handshake["auth"] == {}
    await remote.emit("hello")
    await remote.join("gold")
    await eventually(lambda: ("hello",) in there.heard and two.adapter.has_room("/chat", "gold"))
    await remote.disconnect()
    await eventually(lambda: not there.connected)


async def test_sockets_join_leave_and_disconnect_across_instances(cluster: Cluster) -> None:
    one, two = await cluster()
    here, there = await one.client("red"), await two.client("red")
    await one.chat.to("red").sockets_join("gold", "silver")
    assert one.adapter.has_room("/chat", "gold")
    await eventually(lambda: two.adapter.has_room("/chat", "silver"))
    assert await two.chat.all_rooms() == {"red", "gold", "silver", here.id, there.id}
    await one.chat.to("gold").sockets_leave("silver")
    await eventually(lambda: not two.adapter.has_room("/chat", "silver"))
    assert not one.adapter.has_room("/chat", "silver")
    await one.chat.to("gold").disconnect_sockets()
    await eventually(lambda: not here.connected and not there.connected)


async def test_server_side_emit_reaches_the_other_servers_only(cluster: Cluster) -> None:
    one, two, three = await cluster(3)
    await one.chat.server_side_emit("note", {"blob": b"\xff"})
    await eventually(lambda: two.chat.heard and three.chat.heard)
    assert two.chat.heard == three.chat.heard == [{"blob": b"\xff"}]
    assert await one.chat.server_side_emit_with_ack("add", 2, 3) == [5, 5]
    assert one.chat.heard == []


async def test_a_server_without_the_handler_is_missing_in_the_responses_to_a_server_side_emit(cluster: Cluster) -> None:
    one, _, _ = await cluster(3)
    with pytest.raises(AckTimeout) as caught:
        await one.adapter.server_side_emit_with_ack("/chat", ["slow"], 0.2)
    assert caught.value.responses == []


async def test_a_broadcast_collects_the_acks_of_every_instance(cluster: Cluster) -> None:
    one, two, _ = await cluster(3)
    for instance, answer in ((one, {"from": "one"}), (two, b"\xff"), (two, None)):
        browser = await instance.client("red" if answer else "mute")
        browser.answer = answer
    answers = await one.chat.to("red").timeout(5).emit_with_ack("ask")
    assert sorted(map(str, answers)) == sorted(map(str, [{"from": "one"}, b"\xff"]))
    assert await one.chat.to("nobody").timeout(5).emit_with_ack("ask") == []


async def test_missing_acks_raise_an_error_with_the_acks_that_came(cluster: Cluster) -> None:
    one, two = await cluster()
    here, there = await one.client(), await two.client()
    there.answer = None
    with pytest.raises(AckTimeout) as caught:
        await one.chat.timeout(0.3).emit_with_ack("ask")
    assert caught.value.responses == [here.answer]


async def test_a_client_that_leaves_without_answering_is_not_waited_for(cluster: Cluster) -> None:
    one, two = await cluster()
    leaver, there = await one.client(), await two.client()
    leaver.answer = None
    asking = asyncio.create_task(one.chat.timeout(30).emit_with_ack("ask"))
    await eventually(lambda: one.server.find(leaver.id) is not None)
    await leaver.sio.disconnect()
    assert await asyncio.wait_for(asking, 5) == [there.answer]


async def test_an_unresponsive_server_makes_the_result_partial_and_is_logged(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    one, two = await cluster(requests_timeout=0.3)
    here, there = await one.client(), await two.client()
    async with redis_client.pubsub() as silent:
        await silent.subscribe(CHAT.request)
        await silent.get_message(timeout=5)
        sockets: Any = await one.chat.fetch_sockets()
        assert {socket.id for socket in sockets} == {here.id, there.id}
        assert sockets.partial
        rooms: Any = await one.chat.all_rooms()
        assert rooms == {here.id, there.id}
        assert rooms.partial
        with pytest.raises(AckTimeout) as caught:
            await one.chat.timeout(0.3).emit_with_ack("ask")
        assert caught.value.responses == ["yes", "yes"]
    await eventually_complete(one)


async def eventually_complete(instance: Instance) -> None:
    async with asyncio.timeout(5):
        while (await instance.chat.fetch_sockets()).partial:  # type: ignore[attr-defined]
            continue


async def test_while_redis_is_down_the_local_part_is_returned_at_once(
    cluster: Cluster, redis_server: RedisServer
) -> None:
    one, two = await cluster()
    here, there = await one.client("red"), await two.client("red")
    redis_server.stop()
    await eventually(lambda: not one.bus.ready)
    async with asyncio.timeout(1):
        sockets: Any = await one.chat.fetch_sockets()
        assert [socket.id for socket in sockets] == [here.id]
        assert sockets.partial
        assert await one.chat.all_rooms() == {"red", here.id}
        answers: Any = await one.chat.timeout(5).emit_with_ack("ask")
        assert answers == ["yes"]
        assert answers.partial
        assert await one.chat.server_side_emit_with_ack("add", 1, 1) == []
        await one.chat.sockets_join("gold")
        assert one.adapter.has_room("/chat", "gold")
    await one.chat.to("red").emit("local")
    await eventually(lambda: ("local",) in here.heard)
    redis_server.start()
    assert await one.bus.wait_ready(10)
    assert await two.bus.wait_ready(10)
    await one.chat.to("red").emit("again")
    await eventually(lambda: ("again",) in there.heard)


async def test_instances_with_different_response_channels_understand_each_other(cluster: Cluster) -> None:
    (one,), (two,) = await cluster(1, specific_response_channel=True), await cluster(1)
    here, there = await one.client(), await two.client()
    for instance in (one, two):
        assert {socket.id for socket in await instance.chat.fetch_sockets()} == {here.id, there.id}
        assert await instance.chat.timeout(5).emit_with_ack("ask") == ["yes", "yes"]
        assert await instance.chat.server_side_emit_with_ack("add", 1, 1) == [2]


async def test_another_prefix_is_another_cluster(cluster: Cluster) -> None:
    (one,), (two,) = await cluster(1, key="a"), await cluster(1, key="b")
    here, there = await one.client(), await two.client()
    assert [socket.id for socket in await one.chat.fetch_sockets()] == [here.id]
    await one.chat.emit("x")
    await two.chat.emit("y")
    await eventually(lambda: here.heard and there.heard)
    assert (here.heard, there.heard) == ([("x",)], [("y",)])


async def test_a_broadcast_for_a_room_without_members_is_not_decoded(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    browser = await one.client("red")
    await redis_client.publish("socket.io#/chat#blue#", b"garbage")
    await redis_client.publish("socket.io#/chat#red#", b"garbage")
    await redis_client.publish("socket.io#/chat#", node_broadcast("end"))
    await eventually(lambda: ("end",) in browser.heard)
    assert one.metrics.rejections["cluster_message"] == 1


async def test_a_message_of_another_namespace_on_our_channel_is_ignored(
    cluster: Cluster, redis_client: redis.asyncio.Redis
) -> None:
    (one,) = await cluster(1)
    browser = await one.client()
    await redis_client.publish("socket.io#/chat#", node_broadcast("x", nsp="/other"))
    await redis_client.publish("socket.io#/chat#", node_broadcast("x", nsp=None))
    await redis_client.publish("socket.io#/chat#", node_broadcast("end"))
    await eventually(lambda: ("end",) in browser.heard)
    assert browser.heard == [("end",)]


@pytest.mark.parametrize("channel", [CHAT.broadcast, CHAT.request, CHAT.response, "socketio"])
async def test_garbage_on_any_channel_is_counted_and_has_no_effect(
    cluster: Cluster, redis_client: redis.asyncio.Redis, channel: str
) -> None:
    one, two = await cluster()
    here, there = await one.client(), await two.client()
    garbage = [b"5", b"[]", b"{}", b"", b"\xff" * 50, b"{" * 100, b"x" * 1_000_000, b'{"type": 6, "data": [NaN]}']
    asking = asyncio.create_task(one.chat.timeout(5).emit_with_ack("ask"))  # so that responses are looked at
    for payload in garbage:
        await redis_client.publish(channel, payload)
    assert await asking == ["yes", "yes"]
    await one.chat.emit("end")
    await eventually(lambda: ("end",) in here.heard and ("end",) in there.heard)
    if channel != CHAT.response:
        assert two.metrics.rejections["cluster_message"] == len(garbage)


async def test_requests_of_old_servers_for_one_socket_get_a_response_from_its_server(
    cluster: Cluster, bus: MakeBus
) -> None:
    (one,), other = await cluster(1), await bus()
    browser = await one.client()
    answers: list[bytes] = []
    other.subscribe(CHAT.response, lambda channel, payload: answers.append(payload))
    assert await other.wait_subscribed(CHAT.response)
    sid = browser.id.encode()
    other.publish(CHAT.request, b'{"type":2,"requestId":"j","sid":"%s","room":"red"}' % sid)
    other.publish(CHAT.request, b'{"type":2,"requestId":"n","sid":"nobody","room":"red"}')
    other.publish(CHAT.request, b'{"type":0,"uid":"u","requestId":"s","rooms":["red"]}')
    other.publish(CHAT.request, b'{"type":3,"requestId":"l","sid":"%s","room":"red"}' % sid)
    other.publish(CHAT.request, b'{"type":4,"requestId":"d","sid":"%s"}' % sid)
    await eventually(lambda: not browser.connected and len(answers) == 4)
    assert answers == [
        b'{"requestId":"j"}',
        b'{"requestId":"s","sockets":["%s"]}' % sid,
        b'{"requestId":"l"}',
        b'{"requestId":"d"}',
    ]


async def test_a_value_that_cannot_be_sent_fails_where_it_is_emitted(cluster: Cluster) -> None:
    (one,) = await cluster(1)
    with pytest.raises(TypeError):
        await one.chat.emit("x", object())


async def test_a_removed_namespace_is_no_longer_counted(cluster: Cluster, redis_client: redis.asyncio.Redis) -> None:
    one, two = await cluster()
    await two.stop()
    here = await one.client()
    sockets: Any = await one.chat.fetch_sockets()
    assert [socket.id for socket in sockets] == [here.id]
    assert not sockets.partial


def node_broadcast(*args: Any, nsp: str | None = "/chat") -> bytes:
    packet = {"type": 2, "data": list(args), **({"nsp": nsp} if nsp else {})}
    return bytes(msgpack.packb(["nodeid", packet, {"rooms": [], "except": [], "flags": {}}]))
