"""Fixtures: real servers on a real Redis, in this process."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import redis.asyncio

from rtserver.cluster.redis.bus import RedisBus
from rtserver.telemetry.metrics import Metrics
from tests.cluster.instances import Instance
from tests.support.redis_server import RedisServer

MakeBus = Callable[..., Awaitable[RedisBus]]


@pytest.fixture
async def bus(redis_server: RedisServer) -> AsyncIterator[MakeBus]:
    """`await bus()` connects one more bus, with metrics of its own, to the test's Redis."""
    made: list[RedisBus] = []

    async def make(*, wait: bool = True, **options: Any) -> RedisBus:
        one = RedisBus(redis_server.url, Metrics(), **options)
        made.append(one)
        await one.start()
        assert not wait or await one.wait_ready(5)
        return one

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def redis_client(redis_server: RedisServer) -> AsyncIterator[redis.asyncio.Redis]:
    """Another client of the same Redis."""
    client = redis.asyncio.Redis.from_url(redis_server.url)
    yield client
    await client.aclose()


@pytest.fixture
async def cluster(redis_server: RedisServer) -> AsyncIterator[Callable[..., Awaitable[list[Instance]]]]:
    """`await cluster(n)` runs n instances that are ready."""
    made: list[Instance] = []

    async def make(count: int = 2, **options: Any) -> list[Instance]:
        new = [Instance(redis_server.url, **options) for _ in range(count)]
        made.extend(new)
        for instance in new:
            await instance.start()
        assert all([await instance.bus.wait_ready(5) for instance in new])
        return new

    yield make
    for instance in made:
        await instance.stop()
