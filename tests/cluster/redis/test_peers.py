"""The publish buffer: what was published during an outage reaches the peers, which subscribe again a little later."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from rtserver.cluster.redis import peers
from rtserver.cluster.redis.bus import RedisBus
from rtserver.cluster.redis.connection import new_backoff
from rtserver.telemetry.metrics import Metrics
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.support.tcp_proxy import TcpProxy

COUNT = 200


class Server:
    """A bus with a channel of its own and one that all have."""

    def __init__(self, url: str, *, sharded: bool) -> None:
        self.metrics = Metrics()
        self.bus = RedisBus(url, self.metrics, heartbeat=0.1)
        self.sharded = sharded
        self.heard: list[int] = []
        self.lost = 0
        subscribe = self.bus.ssubscribe if sharded else self.bus.subscribe
        subscribe("all", self._on_message)
        self.bus.on_loss(self._on_loss)

    def _on_message(self, channel: str, payload: bytes) -> None:
        self.heard.append(int(payload))

    def _on_loss(self) -> None:
        self.lost += 1

    def publish(self, numbers: range) -> None:
        for number in numbers:
            (self.bus.spublish if self.sharded else self.bus.publish)("all", b"%d" % number)


Both = tuple[Server, Server, TcpProxy]


@pytest.fixture(params=[False, True], ids=["classic", "sharded"])
async def both(request: pytest.FixtureRequest, redis_server: RedisServer) -> AsyncIterator[Both]:
    async with TcpProxy().to(redis_server.port) as line:
        here = Server(redis_server.url, sharded=request.param)
        away = Server(f"redis://127.0.0.1:{line.port}/0", sharded=request.param)
        for one in (here, away):
            await one.bus.start()
            assert await one.bus.wait_ready(5)
        await eventually(lambda: here.bus._peers._known == 2)
        yield here, away, line
        for one in (here, away):
            await one.bus.stop()


async def test_what_was_published_during_a_restart_of_redis_is_heard(both: Both, redis_server: RedisServer) -> None:
    here, away, line = both
    await asyncio.to_thread(redis_server.stop)
    await eventually(lambda: not here.bus.ready and not away.bus.ready)
    here.publish(range(COUNT))
    line.cut()  # the peer comes back later
    await asyncio.to_thread(redis_server.start)
    assert await here.bus.wait_ready(5)
    here.publish(range(COUNT, COUNT + 10))
    line.mend()
    await eventually(lambda: len(away.heard) == COUNT + 10)
    assert away.heard == here.heard == list(range(COUNT + 10))
    assert not here.metrics.drops
    assert here.lost == 0


async def test_a_peer_that_does_not_come_back_is_waited_for_once_and_counted(
    both: Both, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, away, line = both
    monkeypatch.setattr(peers, "PATIENCE", 0.2)
    await asyncio.to_thread(redis_server.stop)
    await eventually(lambda: not here.bus.ready and not away.bus.ready)
    here.publish(range(COUNT))
    line.cut()
    await asyncio.to_thread(redis_server.start)
    await eventually(lambda: len(here.heard) == COUNT)
    assert here.metrics.drops == {"redis_unheard": COUNT}
    assert here.lost == 1
    here.publish(range(COUNT, COUNT + 10))
    await eventually(lambda: len(here.heard) == COUNT + 10)
    assert here.metrics.drops == {"redis_unheard": COUNT}
    line.mend()
    assert await away.bus.wait_ready(5)
    assert away.heard == []


async def test_calls_overtake_what_is_held_for_the_peers(both: Both, redis_server: RedisServer) -> None:
    here, away, line = both
    await asyncio.to_thread(redis_server.stop)
    await eventually(lambda: not here.bus.ready and not away.bus.ready)
    here.publish(range(3))
    line.cut()
    await asyncio.to_thread(redis_server.start)
    assert await here.bus.wait_ready(5)
    assert await here.bus.ask("ECHO", "now") == b"now"
    assert here.heard == []
    line.mend()
    await eventually(lambda: away.heard == here.heard == [0, 1, 2])


def test_a_redis_that_is_back_is_used_within_half_a_second_however_long_it_was_away() -> None:
    backoff = new_backoff()
    pauses = [backoff.pause() for _ in range(100)]
    assert pauses[0] <= 0.05
    assert max(pauses) <= 0.5
