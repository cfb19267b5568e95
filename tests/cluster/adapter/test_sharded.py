"""Instances that share sharded channels: on one Redis, on a Redis Cluster, through interruptions and with garbage."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
import redis.asyncio
from redis.crc import key_slot

from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.sharded import ShardedAdapter, ShardedClusterAdapter, require_sharded_channels
from rtserver.cluster.redis.address import parse_redis_url
from rtserver.errors import ConfigError
from rtserver.sio.broadcast.adapter import Adapter
from rtserver.sio.namespace.namespace import Client
from tests.cluster.instances import Instance
from tests.support.eventually import eventually
from tests.support.node_server import NodeServer
from tests.support.process import Processes
from tests.support.redis_server import RedisServer
from tests.support.redis_topologies import Cluster

Make = Callable[..., Awaitable[list[Instance]]]


def heard(browser: object, name: str) -> list[object]:
    return [args[0] for event, *args in browser.heard if event == name]  # type: ignore[attr-defined]


async def listening(client: redis.asyncio.Redis, room: str) -> int:
    return int((await client.execute_command("PUBSUB", "SHARDNUMSUB", f"socket.io#/chat#{room}#"))[1])


async def test_a_room_joined_and_left_quickly_ends_as_it_was_left(
    cluster: Make, redis_client: redis.asyncio.Redis
) -> None:
    [one, two] = await cluster(2, adapter=ShardedAdapter)
    browser = await two.client()
    [member] = two.server.rooms_of("/chat").clients.values()  # type: ignore[union-attr]
    assert isinstance(member, Client)
    for _ in range(50):
        await member.join("a", "b")
        await asyncio.sleep(0)
        await member.leave("a", "b")
    await member.join("a")
    await eventually(lambda: is_listened(redis_client, "a", 1))
    await eventually(lambda: is_listened(redis_client, "b", 0))
    await one.server.of("/chat").to("a").emit("x", 1)
    await eventually(lambda: heard(browser, "x") == [1])


async def is_listened(client: redis.asyncio.Redis, room: str, count: int) -> bool:
    return await listening(client, room) == count


async def test_after_an_interruption_all_rooms_are_listened_to_before_it_is_ready(
    cluster: Make, redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> None:
    [one, two] = await cluster(2, adapter=ShardedAdapter)
    browser = await two.client(*(f"room{number}" for number in range(200)))
    redis_server.kill()
    await eventually(lambda: not two.bus.ready and not one.bus.ready)
    redis_server.start()
    assert await two.bus.wait_ready(15)
    assert await listening(redis_client, "room0") == await listening(redis_client, "room199") == 1
    assert await one.bus.wait_ready(15)
    await one.server.of("/chat").to("room199").emit("x", 1)
    await eventually(lambda: heard(browser, "x") == [1])


async def test_garbage_is_counted_and_stops_nothing(cluster: Make, redis_client: redis.asyncio.Redis) -> None:
    [one, two] = await cluster(2, adapter=ShardedAdapter)
    browser = await two.client("a")
    await eventually(lambda: is_listened(redis_client, "a", 1))
    garbage = [
        b"", b"{", b"\xc1", b"[]", b'{"nsp":"/chat"}', b'{"nsp":"/chat","type":"3"}', b"{" * 10_000,
        b'{"nsp":"/chat","type":3,"data":[]}', b'{"nsp":"/chat","type":4,"uid":7,"data":{}}',
        b'{"nsp":"/chat","type":3,"data":{"packet":{"data":[]},"opts":{}}}',
        b'{"nsp":"/chat","type":7,"uid":"x","data":{"opts":7,"requestId":"y"}}',
    ]  # fmt: skip
    ignored = [b'{"nsp":"/other","type":3}', b'{"nsp":"/chat","type":1}', b'{"nsp":"/chat","type":99,"data":{}}']
    before = two.metrics.rejections["cluster_message"]
    for payload in (*garbage, *ignored):
        for channel in ("socket.io#/chat#", "socket.io#/chat#a#"):
            await redis_client.execute_command("SPUBLISH", channel, payload)
    await one.server.of("/chat").to("a").emit("x", 1)
    await eventually(lambda: heard(browser, "x") == [1])
    assert two.metrics.rejections["cluster_message"] - before == 2 * len(garbage)


async def test_a_redis_without_sharded_channels_is_refused_with_a_sentence(processes: Processes) -> None:
    old = RedisServer(processes, "--rename-command", "SSUBSCRIBE", "NEVER")
    old.start()
    with pytest.raises(ConfigError, match="needs Redis 7"):
        await require_sharded_channels(parse_redis_url(old.url))
    old.stop()
    await require_sharded_channels(parse_redis_url(old.url))  # it may come later


async def test_on_a_redis_cluster_every_room_is_at_its_node(processes: Processes) -> None:
    """Rooms, requests and answers work over all nodes, and when a slot moves, its rooms go with it."""
    nodes = Cluster(processes)
    url = "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes.nodes)
    one, two = instances = [Instance(url, adapter=ShardedClusterAdapter) for _ in range(2)]
    try:
        for instance in instances:
            await instance.start()
            await eventually(lambda instance=instance: instance.shards.ready)
        rooms = [f"room{number}" for number in range(12)]
        browser = await two.client(*rooms)
        for room in rooms:
            await eventually(lambda room=room: has_heard(one, room, browser))
        assert {owner for channel, owner in placed(two)} == {("127.0.0.1", node.port) for node in nodes.nodes}
        assert [socket.id for socket in await one.server.of("/chat").fetch_sockets()] == [browser.id]
        channel = "socket.io#/chat#room0#"
        slot = key_slot(channel.encode())
        source = next(
            number for number, node in enumerate(nodes.nodes) if (channel, ("127.0.0.1", node.port)) in placed(two)
        )
        nodes.move_slot(slot, source, target := (source + 1) % 3)
        await eventually(lambda: (channel, ("127.0.0.1", nodes.nodes[target].port)) in placed(two))
        count = len(heard(browser, "room0"))
        await eventually(lambda: has_heard(one, "room0", browser, count))
    finally:
        for instance in instances:
            await instance.stop()


def placed(instance: Instance) -> set[tuple[str, tuple[str, int] | None]]:
    return {(channel, owner) for (channel, _), owner in instance.shards._subscriptions.items()}


async def has_heard(instance: Instance, room: str, browser: object, more_than: int = 0) -> bool:
    await instance.server.of("/chat").to(room).emit(room, 1)
    await asyncio.sleep(0.02)
    return len(heard(browser, room)) > more_than


@pytest.mark.parametrize("adapter", [RedisAdapter, ShardedAdapter])
async def test_only_signed_messages_are_taken(
    cluster: Make, redis_client: redis.asyncio.Redis, adapter: type[Adapter]
) -> None:
    """Two instances with the secret work; others, and what is sent a second time, are refused and counted."""
    [one, two] = await cluster(2, adapter=adapter, secret="s" * 16 + "t" * 16)
    browser, other = await two.client("a"), await one.client("a")
    await eventually(lambda: reaches(one, "a", browser))
    found = await one.server.of("/chat").fetch_sockets()
    assert {socket.id for socket in found} == {browser.id, other.id}
    assert await one.server.of("/chat").timeout(5).emit_with_ack("ask") == ["yes", "yes"]
    [stranger] = await cluster(1, adapter=adapter)
    before, count = len(browser.heard), two.metrics.rejections["cluster_signature"]
    await stranger.server.of("/chat").emit("x", "unsigned")
    await eventually(lambda: two.metrics.rejections["cluster_signature"] > count)
    await replayed(redis_client, one, two, browser)
    assert "unsigned" not in heard(browser, "x")
    assert len(browser.heard) == before + 1


async def test_node_is_refused_by_those_who_sign(
    cluster: Make, redis_server: RedisServer, processes: Processes
) -> None:
    [one] = await cluster(1, secret="s" * 16 + "t" * 16)
    browser = await one.client()
    node = NodeServer(processes, redis_server.url, namespaces=["/chat"])
    node.start()
    await node.do(("emit", "x", "unsigned"), namespace="/chat")
    await eventually(lambda: one.metrics.rejections["cluster_signature"])
    await one.server.of("/chat").emit("x", "own")
    await eventually(lambda: heard(browser, "x"))
    assert heard(browser, "x") == ["own"]


async def reaches(instance: Instance, room: str, browser: object) -> bool:
    await instance.server.of("/chat").to(room).emit("ready", 1)
    return bool(heard(browser, "ready"))


async def replayed(client: redis.asyncio.Redis, one: Instance, two: Instance, browser: object) -> None:
    """One message arrives; the same bytes once more are refused."""
    async with client.pubsub() as tap:
        await tap.execute_command("SUBSCRIBE" if type(one.adapter) is not ShardedAdapter else "SSUBSCRIBE",
                                  "socket.io#/chat#")  # fmt: skip
        await tap.parse_response()
        await one.server.of("/chat").emit("x", "once")
        message = await asyncio.wait_for(tap.parse_response(), 5)
    await eventually(lambda: heard(browser, "x") == ["once"])
    count = two.metrics.rejections["cluster_signature"]
    command = "SPUBLISH" if type(one.adapter) is ShardedAdapter else "PUBLISH"
    await client.execute_command(command, "socket.io#/chat#", message[2])
    await eventually(lambda: two.metrics.rejections["cluster_signature"] == count + 1)
