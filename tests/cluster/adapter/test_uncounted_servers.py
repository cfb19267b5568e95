"""An unknown number of servers is not taken for one: Redis forbids the question, or answers it late or strangely."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio
from structlog.testing import capture_logs

from rtserver.app.emit_service import EmitService
from rtserver.cluster.adapter.cluster_adapter import RedisAdapter
from rtserver.cluster.adapter.sharded import ShardedAdapter
from rtserver.ingest.commands import EmitTarget
from rtserver.sio.broadcast.adapter import AckTimeout
from tests.cluster.instances import Instance
from tests.support.eventually import eventually
from tests.support.process import Processes
from tests.support.redis_server import RedisServer

ADAPTERS = [RedisAdapter, ShardedAdapter]


@pytest.fixture
async def pair(
    redis_server: RedisServer, redis_client: redis.asyncio.Redis
) -> AsyncIterator[Callable[..., Awaitable[list[Instance]]]]:
    """`await pair(adapter, *rights)` runs two instances, as a Redis user without PUBSUB unless `rights` say more."""
    made: list[Instance] = []

    async def make(adapter: Any, *rights: str) -> list[Instance]:
        await redis_client.execute_command(
            "ACL", "SETUSER", "rt", "on", ">hush", "+@all", "~*", "&*", *(rights or ["-pubsub"])
        )
        url = f"redis://rt:hush@127.0.0.1:{redis_server.port}/0"
        for _ in range(2):
            made.append(instance := Instance(url, adapter=adapter, requests_timeout=3.0))
            await instance.start()
            assert await instance.bus.wait_ready(5)
        return made

    yield make
    for instance in made:
        await instance.stop()


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_every_answer_of_a_cluster_of_unknown_size_is_partial(pair: Any, adapter: Any) -> None:
    """And it has what the other servers responded."""
    with capture_logs() as logs:
        one, two = await pair(adapter)
        here, there = await one.client("red"), await two.client("red", "blue")
        sockets: Any = await one.chat.fetch_sockets()
        rooms: Any = await one.chat.all_rooms()
        values: Any = await one.chat.server_side_emit_with_ack("add", 2, 3, timeout=0.5)
        acks: Any = await one.chat.timeout(5).emit_with_ack("ask")
        again: Any = await one.chat.to("red").fetch_sockets()
    assert {socket.id for socket in sockets} == {socket.id for socket in again} == {here.id, there.id}
    assert rooms == {"red", "blue", here.id, there.id}
    assert (values, acks) == ([5], ["yes", "yes"])
    assert sockets.partial is rooms.partial is values.partial is acks.partial is again.partial is True
    refused = [line for line in logs if line["event"] == "redis_refuses"]
    assert {line["command"] for line in refused} <= {"PUBSUB", "PUBSUB NUMSUB", "PUBSUB SHARDNUMSUB"}
    assert 1 <= len(refused) <= 2, "each server says so once: it counts its peers with every heartbeat"
    assert "partial" in refused[0]["reason"]
    assert "@pubsub" in refused[0]["reason"]
    assert sum(line["event"] == "cluster_answer_partial" for line in logs) == 1


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_acks_of_a_cluster_of_unknown_size_are_waited_for(pair: Any, adapter: Any) -> None:
    """A client of another server that takes longer than the grace is no missing server."""
    one, two = await pair(adapter)
    there = await two.client()

    async def slowly(*args: Any) -> str:
        await asyncio.sleep(0.8)
        return "late"

    there.sio.on("ask", slowly, namespace="/chat")
    acks: Any = await one.chat.timeout(10).emit_with_ack("ask")
    assert (acks, acks.partial) == (["late"], True)
    there.sio.on("ask", there._on_ask, namespace="/chat")
    there.answer = None  # never
    with pytest.raises(AckTimeout) as caught:
        await one.chat.timeout(0.3).emit_with_ack("ask")
    assert (caught.value.responses, caught.value.expected) == ([], None)


async def test_the_http_api_calls_acks_of_a_cluster_of_unknown_size_partial(pair: Any) -> None:
    one, two = await pair(RedisAdapter)
    await two.client()
    target = EmitTarget("/chat")
    assert await EmitService(one.server).emit_with_ack(target, "ask", [], 5.0) == (["yes"], None)


async def test_answers_are_complete_again_as_soon_as_the_number_is_known(
    pair: Any, redis_client: redis.asyncio.Redis
) -> None:
    one, _ = await pair(RedisAdapter)
    assert (await one.chat.fetch_sockets()).partial
    await redis_client.execute_command("ACL", "SETUSER", "rt", "+pubsub")
    assert not (await one.chat.fetch_sockets()).partial
    acks = await one.chat.timeout(5).emit_with_ack("ask")
    assert not getattr(acks, "partial", False)


@pytest.mark.parametrize("adapter", ADAPTERS)
async def test_a_number_that_comes_late_is_unknown(
    pair: Any, adapter: Any, monkeypatch: pytest.MonkeyPatch, redis_client: redis.asyncio.Redis
) -> None:
    one, two = await pair(adapter, "+pubsub")
    there = await two.client()
    asking = one.bus.ask

    async def late(*args: Any, timeout: float = 1.0) -> Any:
        if args[0] == "PUBSUB":
            await redis_client.client_pause(400)
            timeout = 0.1
        return await asking(*args, timeout=timeout)

    monkeypatch.setattr(one.bus, "ask", late)
    sockets: Any = await one.chat.fetch_sockets()
    assert ([socket.id for socket in sockets], sockets.partial) in (([there.id], True), ([], True))


@pytest.mark.parametrize("answer", [None, 5, [], [b"x"], [b"x", b"2"], [b"x", -1], [b"x", 0], b"OK"])
async def test_a_strange_number_is_unknown(pair: Any, monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    """Proxies know PUBSUB and answer what they like."""
    one, _ = await pair(RedisAdapter, "+pubsub")

    async def ask(*args: Any, timeout: float = 1.0) -> Any:
        return answer

    monkeypatch.setattr(one.bus, "ask", ask)
    assert (await one.chat.fetch_sockets()).partial


async def test_a_managed_redis_without_the_command_is_the_same(processes: Processes) -> None:
    server = RedisServer(processes, "--rename-command", "PUBSUB", "")
    server.start()
    instances = [Instance(server.url, requests_timeout=2.0) for _ in range(2)]
    with capture_logs() as logs:
        for instance in instances:
            await instance.start()
            assert await instance.bus.wait_ready(5)
        there = await instances[1].client()
        sockets: Any = await instances[0].chat.fetch_sockets()
        assert ([socket.id for socket in sockets], sockets.partial) == ([there.id], True)
    [refused] = [line for line in logs if line["event"] == "redis_refuses"]
    assert (refused["command"], refused["code"]) == ("PUBSUB", "ERR")
    for instance in instances:
        await instance.stop()


async def test_alone_without_another_server_the_answer_is_complete(
    redis_server: RedisServer,
) -> None:
    instance = Instance(redis_server.url)
    await instance.start()
    assert await instance.bus.wait_ready(5)
    assert not (await instance.chat.fetch_sockets()).partial  # type: ignore[attr-defined]
    await eventually(lambda: not instance.adapter._links["/chat"]._open)
    await instance.stop()
