"""Crashes: every instance learns that one has ended without leaving, and of nothing else."""

from collections.abc import AsyncIterator

import pytest

from rtserver.cluster.presence.redis_presence import RedisPresence
from rtserver.cluster.redis.bus import RedisBus
from rtserver.tasks import cancelled
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


class Instances:
    def __init__(self, url: str) -> None:
        self._url = url
        self.heard: dict[str, int] = {}
        self._running: list[tuple[RedisBus, RedisPresence]] = []

    async def start(self, name: str, lease: float = 1.0) -> RedisPresence:
        bus = RedisBus(self._url, Metrics())
        presence = RedisPresence(bus, name, grace=0.1, lease=lease, heartbeat=0.1)
        self.heard[name] = 0

        def on_crash() -> None:
            self.heard[name] += 1

        presence.on_crash(on_crash)
        await bus.start()
        assert await bus.wait_ready(5)
        await presence.start()
        await eventually(lambda: presence._crashes is not None)
        self._running.append((bus, presence))
        return presence

    async def stop(self) -> None:
        for bus, presence in self._running:
            await presence.stop()
            await bus.stop()


async def kill(presence: RedisPresence) -> None:
    await cancelled(*presence._tasks)


@pytest.fixture
async def instances(redis_server: RedisServer) -> AsyncIterator[Instances]:
    made = Instances(redis_server.url)
    yield made
    await made.stop()


async def test_all_others_learn_of_a_crash_once(instances: Instances) -> None:
    for name in ("one", "two"):
        await instances.start(name)
    await kill(await instances.start("three"))
    await eventually(lambda: instances.heard == {"one": 1, "two": 1, "three": 0})


async def test_a_crash_is_learnt_from_the_successor_before_the_lease_ends(instances: Instances) -> None:
    await instances.start("one", lease=300.0)
    await kill(await instances.start("two", lease=300.0))
    await instances.start("two", lease=300.0)
    await eventually(lambda: instances.heard == {"one": 1, "two": 0})


async def test_one_that_leaves_or_comes_is_no_crash(instances: Instances) -> None:
    one = await instances.start("one")
    for _ in range(2):
        two = await instances.start("two")
        await two.stop()
        await cancelled(*two._tasks)
    await kill(await instances.start("three"))
    await eventually(lambda: instances.heard["one"] == 1)
    assert one._crashes == 1
