"""Instance registry, and pages of sockets of all instances. A single server answers like a cluster."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import redis.asyncio
from msgspec import to_builtins

from rtserver.cluster.presence.instances import Instance, InstanceRegistry, LocalInstanceRegistry
from rtserver.cluster.presence.redis_instances import RedisInstanceRegistry
from rtserver.cluster.presence.redis_presence import RedisPresence
from tests.cluster.conftest import MakeBus
from tests.cluster.instances import Instance as Running
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


def described(name: str) -> Instance:
    return Instance(
        id=name, version="1.0", started="2026-01-01T00:00:00.000Z", host="h", pid=1, draining=False,
        connections={"/chat": 3},
    )  # fmt: skip


class Member:
    """An instance that renews its lease."""

    def __init__(self, bus: MakeBus) -> None:
        self._bus = bus

    async def start(self, name: str) -> RedisInstanceRegistry:
        bus = await self._bus()
        self.metrics = bus.metrics
        self.presence = RedisPresence(
            bus, name, lease=3.0, heartbeat=0.25, describe=lambda: to_builtins(described(name))
        )
        await self.presence.start()
        return RedisInstanceRegistry(bus, lambda: described(name))


@pytest.fixture(params=["alone", "redis"])
async def registry(request: pytest.FixtureRequest, bus: MakeBus) -> AsyncIterator[InstanceRegistry]:
    if request.param == "alone":
        yield LocalInstanceRegistry(lambda: described("one"))
        return
    member = Member(bus)
    yield await member.start("one")
    await member.presence.stop()


async def test_an_instance_is_in_the_registry_from_the_start(registry: InstanceRegistry) -> None:
    found = await registry.instances()
    assert list(found) == [described("one")]
    assert not found.partial


async def test_instances_come_and_go(bus: MakeBus) -> None:
    one, two = Member(bus), Member(bus)
    first = await one.start("one")
    await two.start("two")

    async def names(*wanted: str) -> bool:
        return [instance.id for instance in await first.instances()] == list(wanted)

    await eventually(lambda: names("one", "two"))
    await two.presence.stop()
    assert await names("one")
    await one.presence.stop()


async def test_invalid_records_in_redis_are_left_out(bus: MakeBus, redis_client: redis.asyncio.Redis) -> None:
    one = Member(bus)
    registry = await one.start("one")
    p = "{rtserver:presence}"
    now = (await redis_client.time())[0] * 1000
    await redis_client.zadd(f"{p}:leases", dict.fromkeys(("none", "list", "text", "other", "odd"), now + 60_000))
    await redis_client.rpush(f"{p}:instance:list", "x")
    await redis_client.set(f"{p}:instance:text", "no json")
    await redis_client.set(f"{p}:instance:other", '{"id": "one"}')
    await redis_client.set(f"{p}:instance:odd", b"\xff{")
    assert [instance.id for instance in await registry.instances()] == ["one"]
    assert one.metrics.rejections["presence"] >= 3  # type: ignore[attr-defined]
    await one.presence.stop()


async def test_without_redis_the_registry_has_this_instance_only_and_is_partial(
    bus: MakeBus, redis_server: RedisServer
) -> None:
    one = Member(bus)
    registry = await one.start("one")
    redis_server.stop()
    found = await registry.instances()
    assert (list(found), found.partial) == ([described("one")], True)
    await one.presence.stop()


async def test_a_page_of_sockets_has_a_bounded_number_from_each_server(
    cluster: Callable[..., Awaitable[list[Running]]],
) -> None:
    servers = await cluster(2)
    ids = sorted([(await server.client("room")).id for server in servers for _ in range(4)])
    everybody = servers[0].server.of("/chat")
    assert sorted(socket.id for socket in await everybody.fetch_sockets()) == ids
    found, after = list[str](), ""
    for _ in range(4):
        answer = await everybody.page(2, after).fetch_sockets()
        assert len(answer) <= 4  # two of each
        page = sorted(socket.id for socket in answer)[:2]
        found += page
        after = page[-1]
    assert found == ids
    assert await everybody.page(2, after).fetch_sockets() == []
